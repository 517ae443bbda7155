{{/* A Deployment or StatefulSet with what its owner adds: (dict "root" $ "workload" $map "part" $values "container"
"name of its main container"). Of entries with one name the owner's wins, where its place was. */}}
{{- define "ib-mcp.workload" -}}
{{- $workload := .workload -}}
{{- $part := .part -}}
{{- $template := $workload.spec.template -}}
{{- $pod := $template.spec -}}
{{- with $part.annotations }}{{ $_ := set $workload.metadata "annotations" . }}{{ end -}}
{{- $_ := set $template.metadata "labels" (mergeOverwrite $template.metadata.labels (deepCopy (default dict $part.podLabels))) -}}
{{- $annotations := mergeOverwrite (default dict $template.metadata.annotations) (deepCopy (default dict $part.podAnnotations)) -}}
{{- $_ := unset $template.metadata "annotations" -}}
{{- with $annotations }}{{ $_ := set $template.metadata "annotations" . }}{{ end -}}
{{- with concat (default list $pod.volumes) (default list $part.extraVolumes) }}{{ $_ := set $pod "volumes" . }}{{ end -}}
{{- with concat (default list $part.extraInitContainers) (default list $pod.initContainers) }}{{ $_ := set $pod "initContainers" . }}{{ end -}}
{{- $container := first $pod.containers -}}
{{- include "ib-mcp.container" (list $container $part) -}}
{{- range $pod.initContainers -}}
{{- if eq .name "keepalive" -}}
{{- include "ib-mcp.container" (list . $.root.Values.keepalive) -}}
{{- $_ := mergeOverwrite . (deepCopy (default dict $.root.Values.keepalive.overrides)) -}}
{{- end -}}
{{- end -}}
{{- $overrides := deepCopy (default dict $part.overrides) -}}
{{- $_ := mergeOverwrite $container (default dict $overrides.container) -}}
{{- $_ := set $pod "containers" (concat (list $container) (default list $part.extraContainers)) -}}
{{- $_ := mergeOverwrite $pod (default dict $overrides.pod) -}}
{{- $_ := mergeOverwrite $workload.spec (default dict $overrides.spec) -}}
{{- toYaml $workload -}}
{{- end -}}

{{/* Add to a container what its owner adds: (list $container $values). */}}
{{- define "ib-mcp.container" -}}
{{- $container := index . 0 -}}
{{- $values := index . 1 -}}
{{- $owners := dict -}}
{{- range default list $values.extraEnv }}{{ $_ := set $owners .name . }}{{ end -}}
{{- $env := list -}}
{{- range default list $container.env }}
{{- $env = append $env (default . (get $owners .name)) }}
{{- $_ := unset $owners .name }}
{{- end -}}
{{- range default list $values.extraEnv }}
{{- if hasKey $owners .name }}{{ $env = append $env . }}{{ $_ := unset $owners .name }}{{ end }}
{{- end -}}
{{- with $env }}{{ $_ := set $container "env" . }}{{ end -}}
{{- with $values.extraEnvFrom }}{{ $_ := set $container "envFrom" . }}{{ end -}}
{{- with concat (default list $container.volumeMounts) (default list $values.extraVolumeMounts) }}{{ $_ := set $container "volumeMounts" . }}{{ end -}}
{{- end -}}
