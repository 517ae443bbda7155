{{/* "true" when an operator, here or elsewhere, supervises this release's gateway. */}}
{{- define "ib-mcp.supervised" -}}
{{- if or .Values.operator.enabled .Values.operator.supervisedFrom }}true{{ end -}}
{{- end -}}

{{/* "true" when the release has a BrokerageSession. */}}
{{- define "ib-mcp.hasSession" -}}
{{- if and .Values.brokerageSession.enabled (include "ib-mcp.supervised" .) }}true{{ end -}}
{{- end -}}

{{/* The BrokerageSession's name: the release's, or in an umbrella chart with aliases, where that is no one's alone, the
prefix of its objects. */}}
{{- define "ib-mcp.session" -}}
{{- ternary .Release.Name (include "ib-mcp.fullname" .) (eq .Chart.Name "ib-mcp") -}}
{{- end -}}

{{/* Value of the label by which a gateway names its one operator: (list "namespace" "name of its Deployment"). */}}
{{- define "ib-mcp.operatorLabel" -}}
{{- $name := printf "%s.%s" (index . 0) (index . 1) -}}
{{- if gt (len $name) 63 }}{{ $name = printf "%s-%s" (trunc 54 $name | trimAll "-.") (sha256sum $name | trunc 8) }}{{ end -}}
{{- $name -}}
{{- end -}}

{{/* The label of this release's gateway, if an operator supervises it. */}}
{{- define "ib-mcp.supervisor" -}}
{{- if .Values.operator.enabled -}}
{{- include "ib-mcp.operatorLabel" (list (include "ib-mcp.namespace" .) (include "ib-mcp.name" (list . "operator"))) -}}
{{- else if .Values.operator.supervisedFrom -}}
{{- include "ib-mcp.operatorLabel" (splitList "/" .Values.operator.supervisedFrom) -}}
{{- end -}}
{{- end -}}

{{/* Namespaces that the operator supervises, as a JSON list. */}}
{{- define "ib-mcp.scope" -}}
{{- prepend (default list .Values.operator.scope) (include "ib-mcp.namespace" .) | uniq | toJson -}}
{{- end -}}

{{/* Secrets of notifications that the operator mounts, as a JSON list. */}}
{{- define "ib-mcp.channelSecrets" -}}
{{- $names := default list .Values.operator.channelSecrets -}}
{{- range .Values.operator.notifications }}{{ $names = append $names .secretRef.name }}{{ end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* Name of a cluster-wide object: (list $ "what"). */}}
{{- define "ib-mcp.clusterName" -}}
{{- $name := printf "%s-%s-%s" (index . 1) (include "ib-mcp.namespace" (index . 0)) (include "ib-mcp.fullname" (index . 0)) -}}
{{- /* Cut off alone, the names of two releases could become one. */ -}}
{{- if gt (len $name) 63 }}{{ $name = printf "%s-%s" (trunc 54 $name | trimSuffix "-") (sha256sum $name | trunc 8) }}{{ end -}}
{{- $name -}}
{{- end -}}
