#!/usr/bin/env bash
# Bring this workspace's worker up, with its PostgreSQL and Redis: on this machine by Docker Compose,
# or on a cluster by Kubernetes. Nothing is deployed that does not pass its checks.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/deploy.sh [--dry-run] [--skip-tests] [--wheel FILE] compose|k8s

  compose       build the image and start docker/docker-compose.yml
  k8s           build the image and apply k8s/ with kubectl, to its present context
  --wheel FILE  the wheel of Holdfast that the image gets; kept in docker/wheels/
  --skip-tests  do not run the tests of the workspace before
  --dry-run     check what can be checked, and only say what would be run

The wheel is made of Holdfast's source: pip wheel --no-deps --wheel-dir docker/wheels PATH
(The package of that name on the public index is another one.)
The passwords are POSTGRES_PASSWORD and REDIS_PASSWORD: in docker/.env for compose,
in the secret "passwords" for k8s. They stand in URLs: use letters and digits.
USAGE
}

fail() {
    echo "deploy: $1" >&2
    if [[ $# -gt 1 ]]; then echo "  $2" >&2; fi
    exit 1
}

run() {
    printf '+'
    printf ' %q' "$@"
    printf '\n'
    if [[ $dry_run == no ]]; then "$@"; fi
}

# A program that only a real run needs: in a dry run its absence is told.
need() {
    if command -v "$1" >/dev/null; then return; fi
    if [[ $dry_run == no ]]; then fail "$1 is not installed"; fi
    echo "deploy: $1 is not installed; a real run would end here" >&2
}

dry_run=no run_tests=yes wheel='' target=''
while [[ $# -gt 0 ]]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --skip-tests) run_tests=no ;;
        --wheel)
            if [[ $# -lt 2 ]]; then
                usage >&2
                exit 2
            fi
            wheel=$2
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        compose | k8s) target=$1 ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done
if [[ -z $target ]]; then
    usage >&2
    exit 2
fi

if [[ -n $wheel ]]; then
    [[ -f $wheel ]] || fail "there is no file $wheel"
    wheel=$(cd "$(dirname "$wheel")" && pwd)/$(basename "$wheel")
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-$(command -v python3 || command -v python || true)}
[[ -n $python ]] || fail "there is no Python on the PATH" "name one: PYTHON=/path/to/python $0"
image=holdfast-worker:1

check_wheel() {
    if [[ -n $wheel ]]; then
        run mkdir -p docker/wheels
        run rm -f docker/wheels/holdfast-*.whl
        run cp "$wheel" docker/wheels/
        return
    fi
    local found=(docker/wheels/holdfast-*.whl)
    [[ -f ${found[0]} ]] || fail "docker/wheels/ holds no wheel of Holdfast" \
        "pip wheel --no-deps --wheel-dir docker/wheels PATH_TO_HOLDFAST"
    [[ ${#found[@]} -eq 1 ]] || fail "docker/wheels/ holds ${#found[@]} wheels of Holdfast; keep one"
}

check_workspace() {
    "$python" -c 'import holdfast' 2>/dev/null || fail "$python has no Holdfast" \
        "name the Python that has: PYTHON=/path/to/python $0"
    "$python" verify-mcp-setup.py --static >/dev/null || fail "a configuration is wrong" \
        "look with: $python verify-mcp-setup.py --static"
    if [[ $run_tests == yes ]]; then
        "$python" scripts/test-runner.py || fail "the tests of the workspace fail"
    fi
}

deploy_compose() {
    need docker
    if [[ ! -f docker/.env && (-z ${POSTGRES_PASSWORD:-} || -z ${REDIS_PASSWORD:-}) ]]; then
        fail "POSTGRES_PASSWORD and REDIS_PASSWORD are not set" \
            "write both to docker/.env, a line each: NAME=value (git leaves that file out)"
    fi
    run docker compose --file docker/docker-compose.yml up --detach --build --wait
    run docker compose --file docker/docker-compose.yml ps
}

deploy_k8s() {
    need docker
    need kubectl
    run docker build --file docker/Dockerfile --tag "$image" .
    run kubectl apply --filename k8s/namespace.yaml
    if [[ $dry_run == no ]] && ! kubectl --namespace holdfast get secret passwords >/dev/null; then
        fail "the cluster has no secret called passwords" \
            "kubectl -n holdfast create secret generic passwords --from-env-file=docker/.env"
    fi
    run kubectl apply --kustomize k8s
    run kubectl --namespace holdfast rollout status deployment/worker --timeout=180s
}

check_wheel
check_workspace
"deploy_$target"
