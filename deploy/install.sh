#!/bin/sh
# Installs Bongsu, or only its agent, on a Linux machine with Python 3.11+, as a service of systemd that runs without root.
# Run it again to upgrade or to repair: it keeps settings and data.
#
#   install.sh server --wheel bongsu-0.1.0-py3-none-any.whl
#   bongsu_token=... install.sh agent --server https://monitor.example.com --wheel bongsu_agent-0.1.0-py3-none-any.whl
#   install.sh server --uninstall [--purge]
set -eu
umask 022

usage() {
  cat <<'USAGE'
usage: install.sh server|agent [OPTION]...

  What to install, one of:
    --wheel FILE|URL   a wheel
    --version VERSION  a release, from the package index of pip
    --index-url URL    another package index, also for the packages that Bongsu needs
    --sha256 HEX       checksum of the wheel; may be left out for a FILE that has a SHA256SUMS beside it
    --lock FILE        versions and checksums of all other packages; default: server.lock or agent.lock beside this
                       script, if it is there
  Agent:
    --server URL       the API server; needed at the first installation, as is the enrolment token of "Add server" in the
                       variable bongsu_token
  Remove:
    --uninstall        stop the service and remove the program; settings and data stay
    --purge            with --uninstall: remove settings, data and user, too

    --root DIR         install below DIR, to look at or to pack: makes no user and starts nothing
USAGE
}

say() { echo "bongsu: $*" >&2; }
fail() { say "$*"; exit 1; }

find_python() {
  # A command may be there and not run: pyenv has one for each version that it could have.
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
  done
  fail "Python 3.11 or newer is needed"
}

# Sets `requirement`: the wheel as pip names it, with its checksum.
find_wheel() {
  case "$wheel" in
    "")
      [ -n "$version" ] || fail "what is to be installed? Give --wheel or --version"
      requirement="$package==$version" ;;
    http://* | https://*) requirement=$wheel ;;
    *)
      [ -f "$wheel" ] || fail "there is no file $wheel"
      folder=$(CDPATH='' cd -- "$(dirname -- "$wheel")" && pwd)
      name=$(basename -- "$wheel")
      if [ -z "$sha256" ] && [ -f "$folder/SHA256SUMS" ]; then
        sha256=$(awk -v name="$name" '$2 == name { print $1 }' "$folder/SHA256SUMS")
      fi
      requirement="file://$folder/$name" ;;
  esac
  printf '%s\n' "$sha256" | grep -Eqx '[0-9a-f]{64}' || fail "the checksum of the wheel is needed: --sha256 with 64 digits"
}

install_packages() {
  # Another Python than before cannot use what the older one installed.
  which='import sys; print(sys.version_info[:2])'
  [ "$("$venv/bin/python" -c "$which" 2>/dev/null)" = "$("$python" -c "$which")" ] || rm -rf "$venv"
  "$python" -m venv "$venv" || fail "on Debian and Ubuntu: apt install python3-venv"
  set -- install --quiet --disable-pip-version-check --no-input
  [ -z "$index_url" ] || set -- "$@" --index-url "$index_url"
  if [ -f "$lock" ]; then
    "$venv/bin/pip" "$@" --require-hashes --requirement "$lock" || fail "the packages of $lock cannot be installed"
  fi
  list=$(mktemp)
  printf '%s --hash=sha256:%s\n' "$requirement" "$sha256" > "$list"
  # Not --upgrade: another build of the same version is installed too. pip refuses a file with another checksum.
  "$venv/bin/pip" "$@" --require-hashes --no-deps --force-reinstall --requirement "$list" ||
    { rm -f "$list"; fail "$requirement cannot be installed"; }
  rm -f "$list"
  # What it needs beyond the lock, if there is none.
  "$venv/bin/pip" "$@" "$package" || fail "the packages that $package needs cannot be installed"
}

make_user() {
  id "$user" >/dev/null 2>&1 && return
  useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin "$user" 2>/dev/null ||
    adduser -S -D -H -h /nonexistent -s /sbin/nologin "$user" || fail "cannot create the user $user"
}

run_as_user() { su -s /bin/sh -c "$1" "$user"; }

write_settings() {
  mkdir -p "$(dirname "$config")" "$state"
  if [ "$kind" = agent ]; then
    [ -e "$config" ] || [ -n "$server" ] || fail "which API server? Give --server"
    [ -e "$config" ] || printf 'server: %s\ndata_dir: %s\n' "$server" "${state#"$root"}" > "$config"
  elif [ ! -e "$config" ]; then
    cat > "$config" <<'SETTINGS'
# Settings of the API server; all of them, with comments: config/server.yml of Bongsu. After a change: systemctl restart bongsu-server
# host: 0.0.0.0    # so that other machines reach it; use TLS (docs/security.md)
SETTINGS
  fi
}

enrol() {
  [ ! -e "$state/token.json" ] || return 0
  if [ -z "${bongsu_token:-}" ]; then
    say "no enrolment token: the agent sends nothing until it has one. Run this again with bongsu_token=..."
    return
  fi
  # Not as root: the directory belongs to the user, who could have put links there.
  printf '%s\n' "$bongsu_token" | run_as_user "exec '$venv/bin/bongsu' agent enrol --config '$config'" ||
    fail "the agent cannot enrol"
}

start_service() {
  unit=$(find "$venv"/lib/python3*/site-packages/bongsu -name "$service.service")
  if [ -n "$root" ]; then
    mkdir -p "$root/etc/systemd/system"
    cp "$unit" "$root/etc/systemd/system/"
    say "installed below $root"
    return
  fi
  make_user
  run_as_user "exec '$venv/bin/python' -c ''" 2>/dev/null ||
    fail "the user $user cannot run $python, perhaps because it is in root's home; install Python for all users"
  chown -R -h "$user" "$state"
  chmod 750 "$state"
  if [ "$kind" = agent ]; then enrol; fi
  if [ ! -d /run/systemd/system ]; then
    say "no systemd here; as the user $user, start: $command"
    return
  fi
  cp "$unit" /etc/systemd/system/
  systemctl daemon-reload
  systemctl enable --quiet "$service"
  systemctl restart "$service"
  say "$service is running as the user $user. See its log with: journalctl -u $service"
  [ "$kind" = agent ] || say "It prints the link that creates the first account there."
}

uninstall() {
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl disable --quiet --now "$service" 2>/dev/null || true
  fi
  rm -f "$root/etc/systemd/system/$service.service"
  [ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
  rm -rf "$venv"
  if [ -z "$purge" ]; then
    say "removed; settings ($config) and data ($state) stay. --purge removes them, too."
    return
  fi
  rm -rf "$state" "$config" "${config%.yml}.env"
  rmdir "$root/etc/bongsu" 2>/dev/null || true
  if [ -z "$root" ] && id "$user" >/dev/null 2>&1; then
    userdel "$user" 2>/dev/null || deluser "$user"
  fi
  say "removed, with settings and data"
}

main() {
  kind=${1:-}
  wheel='' version='' index_url='' sha256='' server='' root='' purge='' lock='' action=install
  case "$kind" in
    server) package=bongsu service=bongsu-server user=bongsu ;;
    agent) package=bongsu-agent service=bongsu-agent user=bongsu-agent ;;
    -h | --help) usage; return ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
  while [ $# -gt 0 ]; do
    case "$1" in
      --uninstall) action=uninstall; shift; continue ;;
      --purge) purge=yes; shift; continue ;;
      -h | --help) usage; return ;;
    esac
    [ $# -gt 1 ] || { usage >&2; exit 2; }
    case "$1" in
      --wheel) wheel=$2 ;;
      --version) version=$2 ;;
      --index-url) index_url=$2 ;;
      --sha256) sha256=$2 ;;
      --lock) lock=$2; [ -f "$lock" ] || fail "there is no file $lock" ;;
      --server) server=$2 ;;
      --root) root=$(mkdir -p "$2" && CDPATH='' cd -- "$2" && pwd) ;;
      *) usage >&2; exit 2 ;;
    esac
    shift 2
  done
  venv=$root/opt/$package state=$root/var/lib/$package config=$root/etc/bongsu/$kind.yml
  [ -n "$lock" ] || lock=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/$kind.lock
  command="BONGSU_DATA_DIR=$state $venv/bin/bongsu server --config $config"
  [ "$kind" = server ] || command="$venv/bin/bongsu agent run --config $config"
  [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run this as root (sudo sh install.sh ...)"
  if [ "$action" = uninstall ]; then uninstall; return; fi
  find_python
  find_wheel
  install_packages
  write_settings
  start_service
}

main "$@"
