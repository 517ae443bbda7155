{{/* Prefix of every object's name. */}}
{{- define "ib-mcp.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's objects: (list $ "gateway"). A StatefulSet's name may have 52 characters at most. */}}
{{- define "ib-mcp.name" -}}
{{- printf "%s-%s" (include "ib-mcp.fullname" (index . 0)) (index . 1) | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "ib-mcp.headless" -}}
{{- printf "%s-headless" (include "ib-mcp.name" (list . "gateway")) -}}
{{- end -}}

{{- define "ib-mcp.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* Labels that selectors use: (list $ "gateway"). They never change. */}}
{{- define "ib-mcp.selectorLabels" -}}
app.kubernetes.io/name: {{ default (index . 0).Chart.Name (index . 0).Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "ib-mcp.labels" -}}
{{- $root := index . 0 -}}
{{ include "ib-mcp.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ib-mcp
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod: nothing that a new chart version changes, so that an upgrade alone makes no pod outdated. */}}
{{- define "ib-mcp.podLabels" -}}
{{ include "ib-mcp.selectorLabels" . }}
app.kubernetes.io/part-of: ib-mcp
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (list $ "component" "name"). */}}
{{- define "ib-mcp.metadata" -}}
name: {{ index . 2 | quote }}
namespace: {{ include "ib-mcp.namespace" (index . 0) | quote }}
labels:
  {{- include "ib-mcp.labels" (list (index . 0) (index . 1)) | nindent 2 }}
{{- end -}}

{{/* An image's full name: (list $ .Values.mcp.image). */}}
{{- define "ib-mcp.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository }}:{{ default $root.Chart.AppVersion $image.tag -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What restricted Pod Security asks of a pod. */}}
{{- define "ib-mcp.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ib-mcp.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where a pod may run and what is added to it: (list $ .Values.mcp). */}}
{{- define "ib-mcp.placement" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" "dnsConfig" }}
{{- with index $part $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Variable NAME from a token's Secret: (list $ "NAME" .Values.mcp.token "component"). */}}
{{- define "ib-mcp.tokenVariable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "ib-mcp.tokenSecret" (list (index . 0) (index . 2) (index . 3)) | quote }}
      key: {{ (index . 2).existingSecretKey | quote }}
{{- end -}}

{{- define "ib-mcp.tokenSecret" -}}
{{- default (include "ib-mcp.name" (list (index . 0) (index . 2))) (index . 1).existingSecret -}}
{{- end -}}

{{/* A Secret with a token that is made once: (list $ "component" $tokenValues). */}}
{{- define "ib-mcp.generatedToken" -}}
{{- $root := index . 0 -}}
{{- $token := index . 2 -}}
{{- $name := include "ib-mcp.name" (list $root (index . 1)) -}}
{{- $present := lookup "v1" "Secret" (include "ib-mcp.namespace" $root) $name -}}
{{- $value := randAlphaNum 43 | b64enc -}}
{{- with $present }}{{ $value = default $value (index (default dict .data) $token.existingSecretKey) }}{{ end -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "ib-mcp.metadata" (list $root (index . 1) $name) | nindent 2 }}
  annotations:
    # The token outlives the release, so that agents go on after a reinstallation.
    helm.sh/resource-policy: keep
type: Opaque
data:
  {{ $token.existingSecretKey | quote }}: {{ $value }}
{{- end -}}

{{/* Every name of a Service, separated by commas: (list $ "service"). */}}
{{- define "ib-mcp.serviceNames" -}}
{{- $namespace := include "ib-mcp.namespace" (index . 0) -}}
{{- $names := list (index . 1) -}}
{{- range $tail := list $namespace (printf "%s.svc" $namespace) (printf "%s.svc.cluster.local" $namespace) -}}
{{- $names = append $names (printf "%s.%s" (index $ 1) $tail) -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* Every name under which the MCP server is reached, separated by commas. */}}
{{- define "ib-mcp.allowedHosts" -}}
{{- $hosts := splitList "," (include "ib-mcp.serviceNames" (list . (include "ib-mcp.name" (list . "mcp")))) -}}
{{- if .Values.mcp.ingress.enabled }}{{ $hosts = append $hosts .Values.mcp.ingress.host }}{{ end -}}
{{- if .Values.mcp.httpRoute.enabled }}{{ $hosts = concat $hosts (default list .Values.mcp.httpRoute.hostnames) }}{{ end -}}
{{- concat $hosts (default list .Values.mcp.allowedHosts) | uniq | join "," -}}
{{- end -}}

{{- define "ib-mcp.portForward" -}}
kubectl -n {{ include "ib-mcp.namespace" . }} port-forward svc/{{ include "ib-mcp.name" (list . "gateway") }} 5000
{{- end -}}
