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

{{/* An image's full name: (list $ "mcp" .Values.mcp.image). Without a registry it would be somebody else's at the container
runtime's default one, so that is refused. */}}
{{- define "ib-mcp.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 2 -}}
{{- $first := first (splitList "/" $image.repository) -}}
{{- $isWhole := and (contains "/" $image.repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{- $registry := default (ternary "" (default "" (default dict $root.Values.global).imageRegistry) $isWhole) $image.registry -}}
{{- if not (or $registry $isWhole) -}}
{{- fail (printf "global.imageRegistry and %s.image.registry are empty: nobody publishes these images, so set global.imageRegistry to the registry that you pushed them to, as docs/kubernetes.md says." (index . 1)) -}}
{{- end -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository }}:{{ default $root.Chart.AppVersion $image.tag -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What restricted Pod Security asks of a pod; ids that are null are left to the namespace. */}}
{{- define "ib-mcp.podSecurity" -}}
runAsNonRoot: true
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- with get $.Values.podSecurity $name }}
{{ $name }}: {{ int64 . }}
{{- end }}
{{- end }}
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
{{- with get $part $key }}
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
{{- default (include "ib-mcp.name" (list (index . 0) (index . 2))) (tpl (index . 1).existingSecret (index . 0)) -}}
{{- end -}}

{{/* The token that a Secret holds, in base64: (list $ "component" $tokenValues). One is made where there is none; empty
where the owner's Secret cannot be seen. */}}
{{- define "ib-mcp.tokenValue" -}}
{{- $root := index . 0 -}}
{{- $token := index . 2 -}}
{{- $made := default dict (get $root.Values "madeTokens") -}}
{{- if not (hasKey $made (index . 1)) -}}
{{- $present := lookup "v1" "Secret" (include "ib-mcp.namespace" $root) (include "ib-mcp.tokenSecret" (list $root $token (index . 1))) -}}
{{- $value := ternary (randAlphaNum 43 | b64enc) "" (eq $token.existingSecret "") -}}
{{- with $present }}{{ $value = default $value (index (default dict .data) $token.existingSecretKey) }}{{ end -}}
{{- $_ := set $made (index . 1) $value -}}
{{- $_ := set $root.Values "madeTokens" $made -}}
{{- end -}}
{{- get $made (index . 1) -}}
{{- end -}}

{{/* Annotations by which a changed token restarts those who show or check it: (list $ "component" ...). */}}
{{- define "ib-mcp.tokenChecksums" -}}
{{- $root := first . -}}
{{- range $component := rest . }}
{{- $token := get (dict "guard" $root.Values.keepalive.token "mcp" $root.Values.mcp.token "approver" $root.Values.trading.approver) $component }}
{{- with include "ib-mcp.tokenValue" (list $root $component $token) }}
checksum/{{ $component }}-token: {{ sha256sum . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether agents may trade or preview: true, or empty. YAML reads a bare off as false. */}}
{{- define "ib-mcp.trades" -}}
{{- if not (has .Values.trading.mode (list "off" false)) }}true{{ end -}}
{{- end -}}

{{/* Whether the MCP server offers the tools of orders, for this gateway or another release's: true, or empty. */}}
{{- define "ib-mcp.offersOrders" -}}
{{- $offers := include "ib-mcp.trades" . -}}
{{- range .Values.mcp.extraGateways }}{{ if .approverSecret }}{{ $offers = "true" }}{{ end }}{{ end -}}
{{- $offers -}}
{{- end -}}

{{/* The claim of the ledger of orders. */}}
{{- define "ib-mcp.tradingClaim" -}}
{{- default (include "ib-mcp.name" (list . "trading")) .Values.trading.storage.existingClaim -}}
{{- end -}}

{{/* The owner's policy in TOML: JSON's texts, numbers and lists are TOML's too. A limit that is null or empty is left out. */}}
{{- define "ib-mcp.tradingPolicy" -}}
{{- $trading := .Values.trading -}}
writes = {{ .Values.allowWrites }}
mode = {{ ternary $trading.mode "off" (eq (include "ib-mcp.trades" .) "true") | quote }}
approval = {{ $trading.approval | quote }}
questions = {{ default list $trading.questions | toJson }}

[live]
accounts = {{ default list $trading.live.accounts | toJson }}
without_approval = {{ $trading.live.withoutApproval }}

[limits]
{{- range $key, $value := $trading.limits }}
{{- if or (kindIs "bool" $value) $value }}
{{ $key | trimSuffix "Seconds" | snakecase }}{{ ternary "_s" "" (hasSuffix "Seconds" $key) }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The claim of OAuth's clients and grants. */}}
{{- define "ib-mcp.oauthClaim" -}}
{{- default (printf "%s-oauth" (include "ib-mcp.name" (list . "mcp"))) .Values.mcp.oauth.storage.existingClaim -}}
{{- end -}}

{{/* Every path of the MCP server that agents and browsers use, as a JSON list. Health and metrics stay inside the cluster. */}}
{{- define "ib-mcp.publicPaths" -}}
{{- $prefix := (urlParse .Values.mcp.publicUrl).path | trimSuffix "/" -}}
{{- $paths := list (printf "%s/mcp" $prefix) -}}
{{- if or .Values.mcp.issuer.url .Values.mcp.oauth.enabled -}}
{{- /* At the host's root, wherever the rest lies. */ -}}
{{- $paths = append $paths "/.well-known" -}}
{{- end -}}
{{- if .Values.mcp.oauth.enabled -}}
{{- range list "/authorize" "/consent" "/sign-in" "/token" "/register" "/revoke" -}}
{{- $paths = append $paths (printf "%s%s" $prefix .) -}}
{{- end -}}
{{- if $prefix -}}
{{- $paths = append $paths (printf "%s/.well-known" $prefix) -}}
{{- end -}}
{{- end -}}
{{- $paths | toJson -}}
{{- end -}}

{{/* The Secret of named tokens. */}}
{{- define "ib-mcp.tokensSecret" -}}
{{- default (printf "%s-tokens" (include "ib-mcp.name" (list . "mcp"))) .Values.mcp.tokens.existingSecret -}}
{{- end -}}

{{/* A Secret with a token that is made once: (list $ "component" $tokenValues). */}}
{{- define "ib-mcp.generatedToken" -}}
{{- $root := index . 0 -}}
{{- $token := index . 2 -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "ib-mcp.metadata" (list $root (index . 1) (include "ib-mcp.name" (list $root (index . 1)))) | nindent 2 }}
  annotations:
    # The token outlives the release, so that agents go on after a reinstallation.
    helm.sh/resource-policy: keep
type: Opaque
data:
  {{ $token.existingSecretKey | quote }}: {{ include "ib-mcp.tokenValue" . }}
{{- end -}}

{{/* Every name of a Service, separated by commas: (list $ "service"). */}}
{{- define "ib-mcp.serviceNames" -}}
{{- $namespace := include "ib-mcp.namespace" (index . 0) -}}
{{- $names := list (index . 1) -}}
{{- range $tail := list $namespace (printf "%s.svc" $namespace) (printf "%s.svc.%s" $namespace (index $ 0).Values.clusterDomain) -}}
{{- $names = append $names (printf "%s.%s" (index $ 1) $tail) -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/* Every name under which the MCP server is reached, separated by commas. */}}
{{- define "ib-mcp.allowedHosts" -}}
{{- $hosts := splitList "," (include "ib-mcp.serviceNames" (list . (include "ib-mcp.name" (list . "mcp")))) -}}
{{- if .Values.mcp.ingress.enabled }}{{ $hosts = concat $hosts (include "ib-mcp.ingressHosts" . | fromJsonArray) }}{{ end -}}
{{- if .Values.mcp.httpRoute.enabled }}{{ $hosts = concat $hosts (default list .Values.mcp.httpRoute.hostnames) }}{{ end -}}
{{- tpl (concat $hosts (default list .Values.mcp.allowedHosts) | uniq | join ",") . -}}
{{- end -}}

{{/* A rule that lets DNS out. */}}
{{- define "ib-mcp.dnsEgress" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* Host names of the Ingress, as a JSON list. */}}
{{- define "ib-mcp.ingressHosts" -}}
{{- $hosts := list -}}
{{- range prepend (default list .Values.mcp.ingress.extraHosts) .Values.mcp.ingress.host -}}
{{- with tpl . $ }}{{ $hosts = append $hosts . }}{{ end -}}
{{- end -}}
{{- $hosts | uniq | toJson -}}
{{- end -}}

{{/* spec of a Service: (dict "root" $ "own" "YAML" "more" $map). */}}
{{- define "ib-mcp.serviceSpec" -}}
{{- $spec := fromYaml .own -}}
{{- with .root.Values.ipFamilyPolicy }}{{ $_ := set $spec "ipFamilyPolicy" . }}{{ end -}}
{{- toYaml (mergeOverwrite $spec (deepCopy (default dict .more))) -}}
{{- end -}}

{{/* Name of a part's service account: (list $ "component" $part). */}}
{{- define "ib-mcp.serviceAccount" -}}
{{- default (include "ib-mcp.name" (list (index . 0) (index . 1))) (index . 2).serviceAccount.name -}}
{{- end -}}

{{/* The ServiceAccount, unless its owner brings one: the same list. */}}
{{- define "ib-mcp.serviceAccountObject" -}}
{{- $account := (index . 2).serviceAccount -}}
{{- if not $account.name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "ib-mcp.metadata" (list (index . 0) (index . 1) (include "ib-mcp.name" (list (index . 0) (index . 1)))) | nindent 2 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# A pod that needs a token asks for it itself.
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{- define "ib-mcp.portForward" -}}
kubectl -n {{ include "ib-mcp.namespace" . }} port-forward svc/{{ include "ib-mcp.name" (list . "gateway") }} 5000
{{- end -}}
