#!/bin/sh
# Writes the locks: one for everything, and for each deployable the part of it that it needs. No index address gets in.
set -eu
bin="$1"
compile() {
  "$bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@"
}
compile --all-extras -o requirements/all.lock pyproject.toml
compile -c requirements/all.lock -o requirements/functions.lock pyproject.toml
compile -c requirements/all.lock -o requirements/agent.lock requirements/agent.in
compile -o requirements/ministack.lock requirements/ministack.in
