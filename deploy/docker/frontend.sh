#!/bin/sh
# Starts nginx for the API server at BONGSU_API, such as http://server:8600 or https://server; "health": asks whether it answers.
set -eu

if [ "${1:-}" = health ]; then
  # There is no curl in the image.
  exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$BONGSU_PORT" && printf "GET / HTTP/1.0\r\n\r\n" >&3 && read -r status <&3 && [[ $status == *" 200 "* ]]'
fi

scheme=${BONGSU_API%%://*}
address=${BONGSU_API#*://}
address=${address%/}
case "$scheme:$address" in
  http:*[!0-9A-Za-z.:_-]* | https:*[!0-9A-Za-z.:_-]* | http: | https:) echo "BONGSU_API: $BONGSU_API is no address" >&2; exit 2 ;;
  http:*:*) ;;
  http:*) address=$address:80 ;;
  https:*:*) ;;
  https:*) address=$address:443 ;;
  *) echo "BONGSU_API must begin with http:// or https://" >&2; exit 2 ;;
esac

cat > /tmp/proxy.conf <<CONF
proxy_pass $scheme://bongsu;
proxy_ssl_server_name on;
proxy_ssl_name ${address%:*};
proxy_ssl_verify on;
proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
# The API server sends its own headers: one here, though empty, keeps nginx from adding those of the dashboard.
add_header X-Content-Type-Options "";
proxy_http_version 1.1;
proxy_set_header Host \$http_host;
proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto \$bongsu_scheme;
proxy_set_header Upgrade \$http_upgrade;
proxy_set_header Connection \$bongsu_connection;
# Agents send at most 4 MiB at once (BONGSU_LIMITS__BODY_BYTES), writers of foreign samples 32 MiB.
client_max_body_size 33m;
# Answers come as fast as clients read them; streams are not held back. The API server pings a WebSocket every 15 s.
proxy_buffering off;
proxy_connect_timeout 2s;
proxy_read_timeout 75s;
CONF
sed -e "s|@API@|$address|" -e "s|@ADDRESS@|$BONGSU_HOST:$BONGSU_PORT|" /etc/bongsu/frontend.conf > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
