{{- define "querywarden.name" -}}
{{- if contains "querywarden" .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-querywarden" .Release.Name | trunc 52 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "querywarden.selector" -}}
app.kubernetes.io/name: querywarden
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: worker
{{- end -}}

{{- define "querywarden.dashboard" -}}
app.kubernetes.io/name: querywarden
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: dashboard
{{- end -}}

{{/* Whether the dashboard answers. It may listen on loopback alone, where nobody outside of the pod can ask. */}}
{{- define "querywarden.shown" -}}
exec:
  command:
    - python
    - -c
    - import urllib.request; urllib.request.urlopen("http://127.0.0.1:9465/api/v1/ways", timeout=5)
timeoutSeconds: 10
{{- end -}}

{{- define "querywarden.labels" -}}
app.kubernetes.io/name: querywarden
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "querywarden.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "querywarden.toml" -}}
[source]
type = "kafka"
brokers = {{ toJson .Values.kafka.brokers }}
topic = {{ .Values.kafka.topic | quote }}
start = {{ .Values.kafka.start | default "latest" | quote }}

[profile]
path = "/etc/querywarden/profile"

[cluster]
name = {{ .Values.cluster.name | quote }}
partitions = {{ int .Values.cluster.partitions }}
replication = {{ int .Values.cluster.replication }}

{{ .Values.settings }}
{{- end -}}

{{/* What every pod of ours is: nobody with rights, and nothing that can be written but its own folder. */}}
{{- define "querywarden.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "querywarden.container" -}}
image: {{ include "querywarden.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- with .Values.secrets }}
env:
{{- range . }}
  - name: {{ .variable }}
    valueFrom: { secretKeyRef: { name: {{ .secret | quote }}, key: {{ .key | quote }} } }
{{- end }}
{{- end }}
{{- end -}}

{{- define "querywarden.mounts" -}}
- { name: settings, mountPath: /etc/querywarden/querywarden.toml, subPath: querywarden.toml, readOnly: true }
- { name: profile, mountPath: /etc/querywarden/profile, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- end -}}

{{- define "querywarden.volumes" -}}
- name: settings
  configMap: { name: {{ include "querywarden.name" . }} }
- name: profile
  {{- toYaml .Values.profile.volume | nindent 2 }}
- name: tmp
  emptyDir: {}
{{- end -}}
