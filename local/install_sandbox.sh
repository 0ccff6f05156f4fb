#!/bin/sh
# Puts bubblewrap on this machine where that is allowed, and says how where it is not.
set -eu
command -v bwrap >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing bubblewrap, the sandbox around other people's code"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null
  exit 0
fi
cat >&2 <<'HELP'
bubblewrap is missing, and make could not install it here. A node refuses other people's units without it. Install it with

    sudo apt-get install bubblewrap      (Debian, Ubuntu)
    sudo dnf install bubblewrap          (Fedora)

and run the same make command again.
HELP
exit 1
