#!/bin/sh
# Installs the Bongsu agent on a Linux machine with Python 3.11+, as a service of systemd that runs without root.
#
# The line from "Add server" sets bongsu_token=... before it, so that no secret appears in a command line, where others
# could read it. Nothing runs before the whole script has arrived.
set -eu
umask 022
server=@SERVER@
folder=/opt/bongsu-agent
state=/var/lib/bongsu-agent
config=/etc/bongsu/agent.yml
user=bongsu-agent

say() { echo "bongsu: $*" >&2; }
fail() { say "$*"; exit 1; }

find_python() {
  # A command may be there and not run: pyenv has one for each version that it could have.
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
  done
  fail "Python 3.11 or newer is needed"
}

prefer_https() {
  secure="https://${server#http://}"
  case "$server" in
    https://* | http://localhost | http://localhost:* | http://127.* | http://[[]::1]*) return ;;
  esac
  if "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
    "$secure/agent/@WHEEL@" 2>/dev/null; then
    server=$secure
    return
  fi
  say "WARNING: $server is not encrypted. Anybody on the way can read the token and the metrics, and change what is"
  say "installed here. Set up TLS on the API server (docs/security.md), then add this server again with https://."
}

make_user() {
  id "$user" >/dev/null 2>&1 && return
  useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin "$user" 2>/dev/null ||
    adduser -S -D -H -h /nonexistent -s /sbin/nologin "$user" || fail "cannot create the user $user"
}

run_as_user() { su -s /bin/sh -c "$1" "$user"; }

move_older_state() {
  # Earlier versions of this script installed a service that ran as root.
  grep -qx 'data_dir: /var/lib/bongsu/agent' "$config" 2>/dev/null || return 0
  systemctl stop bongsu-agent.service 2>/dev/null || true
  [ -e "$state" ] || [ ! -d /var/lib/bongsu/agent ] || mv /var/lib/bongsu/agent "$state"
  sed -i "s|^data_dir: /var/lib/bongsu/agent$|data_dir: $state|" "$config"
}

main() {
  [ "$(id -u)" = 0 ] || fail "run this as root (sudo sh)"
  [ -n "${bongsu_token:-}" ] || fail "no enrolment token; copy the whole line from Add server"
  find_python
  prefer_https
  "$python" -m venv "$folder" || fail "on Debian and Ubuntu: apt install python3-venv"
  # pip refuses a file with another checksum.
  "$folder/bin/pip" install --quiet --disable-pip-version-check --upgrade \
    "$server/agent/@WHEEL@#sha256=@SHA256@" || fail "the agent cannot be installed"
  # Earlier versions of the package had another name.
  rm -rf "$folder"/lib/python3*/site-packages/bongsu-[0-9]*.dist-info
  make_user
  run_as_user "exec '$folder/bin/python' -c ''" 2>/dev/null ||
    fail "the user $user cannot run $python, perhaps because it is in root's home; install Python for all users"
  mkdir -p /etc/bongsu
  move_older_state
  mkdir -p "$state"
  chown -R -h "$user" "$state"
  chmod 750 "$state"
  # Not as root: the directory belongs to the user, who could have put links there.
  printf '%s\n' "$bongsu_token" |
    run_as_user "exec '$folder/bin/bongsu' agent enrol --server '$server' --data-dir '$state'"
  [ -e "$config" ] || printf 'server: %s\ndata_dir: %s\n' "$server" "$state" > "$config"
  if [ ! -d /run/systemd/system ]; then
    say "no systemd here; as the user $user, start: $folder/bin/bongsu agent run --config $config"
    return
  fi
  cat > /etc/systemd/system/bongsu-agent.service <<'UNIT'
@UNIT@
UNIT
  systemctl daemon-reload
  systemctl enable bongsu-agent.service
  systemctl restart bongsu-agent.service
  say "the agent is running as the user $user. See its log with: journalctl -u bongsu-agent"
}

main
