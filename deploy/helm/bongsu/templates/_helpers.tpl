{{- define "bongsu.name" -}}
{{- if contains "bongsu" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-bongsu" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "bongsu.selector" -}}
app.kubernetes.io/name: bongsu
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bongsu.labels" -}}
{{ include "bongsu.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "bongsu.secret" -}}
{{ .Values.existingSecret | default (include "bongsu.name" .) }}
{{- end }}

{{/* "yes" with an external database, which the Secret has. */}}
{{- define "bongsu.external" -}}
{{- if or .Values.database.url (and .Values.existingSecret .Values.externalDatabase) }}yes{{ end }}
{{- end }}

{{- define "bongsu.agents" -}}
{{- if and .Values.agent.enabled (or .Values.agent.enrolmentToken (and .Values.existingSecret .Values.agent.enrolmentTokenInSecret)) }}yes{{ end }}
{{- end }}

{{- define "bongsu.image" -}}
image: "{{ .root.Values.image.registry }}/bongsu-{{ .part }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end }}

{{- define "bongsu.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "bongsu.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The user of the images. */}}
{{- define "bongsu.user" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "bongsu.fromSecret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ include "bongsu.secret" .root }}, key: {{ .key }}, optional: true}}
{{- end }}

{{- define "bongsu.serverEnv" -}}
{{- $url := .Values.server.publicUrl }}
{{- if and (not $url) .Values.ingress.enabled }}
{{- $url = printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tlsSecret "")) (first .Values.ingress.hosts) }}
{{- end }}
{{- with $url }}
- {name: BONGSU_PUBLIC_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.server.adminEmail }}
- {name: BONGSU_ADMIN_EMAIL, value: {{ . | quote }}}
{{ include "bongsu.fromSecret" (dict "root" $ "name" "BONGSU_ADMIN_PASSWORD" "key" "admin-password") }}
{{- end }}
{{- with .Values.server.trustedProxies }}
- {name: BONGSU_TRUSTED_PROXIES, value: {{ toJson . | quote }}}
{{- end }}
{{ include "bongsu.fromSecret" (dict "root" . "name" "BONGSU_SECRET_KEY" "key" "secret-key") }}
{{ include "bongsu.fromSecret" (dict "root" . "name" "BONGSU_DATABASE_URL" "key" "database-url") }}
{{ include "bongsu.fromSecret" (dict "root" . "name" "BONGSU_REDIS_URL" "key" "redis-url") }}
{{- range $name, $value := .Values.server.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* The pod of an API server (role "all" or "api") or worker. */}}
{{- define "bongsu.serverPod" -}}
{{- with .root }}
metadata:
  labels:
    {{- include "bongsu.selector" . | nindent 4 }}
    app.kubernetes.io/component: {{ $.component }}
  annotations:
    checksum/secret: {{ include (print .Template.BasePath "/secret.yaml") . | sha256sum }}
spec:
  automountServiceAccountToken: false
  # Kubernetes would set BONGSU_PORT to the address of the service "bongsu".
  enableServiceLinks: false
  {{- with include "bongsu.pullSecrets" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- include "bongsu.user" . | nindent 4 }}
    fsGroup: 10001
  terminationGracePeriodSeconds: 30
  containers:
    - name: bongsu
      {{- include "bongsu.image" (dict "root" . "part" "server") | nindent 6 }}
      args: [server, --role, {{ $.role }}]
      env:
        {{- include "bongsu.serverEnv" . | trim | nindent 8 }}
      {{- if ne $.role "worker" }}
      ports:
        - {name: http, containerPort: 8600}
      # An upgrade of a large database takes minutes.
      startupProbe:
        httpGet: {path: /api/health/live, port: http}
        periodSeconds: 2
        failureThreshold: 300
      readinessProbe:
        httpGet: {path: /api/health/ready, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
      livenessProbe:
        httpGet: {path: /api/health/live, port: http}
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 6
      {{- end }}
      resources: {{- toYaml .Values.server.resources | nindent 8 }}
      securityContext:
        {{- include "bongsu.hardened" . | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /var/lib/bongsu}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - {name: tmp, emptyDir: {}}
    {{- if eq $.component "server" }}
    {{- if include "bongsu.external" . }}
    - {name: data, emptyDir: {}}
    {{- end }}
    {{- else }}
    - {name: data, emptyDir: {}}
    {{- end }}
  {{- with .Values.server.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.server.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.server.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
