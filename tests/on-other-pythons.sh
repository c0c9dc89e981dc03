#!/bin/sh
# Run the suite on each of these Pythons, in a virtual environment of its own and without PyTorch: the
# tests that need it are skipped. `sh tests/on-other-pythons.sh 3.10 3.13` in the repository's root.
set -u

# Print the interpreter of a version: one on the path, or one that pyenv keeps.
find_python() {
    for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1"*/bin/python; do
        "$python" -c 'import ensurepip' >/dev/null 2>&1 && { echo "$python"; return; }
    done
}

failed=""
for version in "$@"; do
    python=$(find_python "$version")
    [ -n "$python" ] || { echo "Python $version is not installed; left out."; continue; }
    venv=.venv-$version
    echo "Python $version: installing into $venv ..."
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[dev]" &&
        "$venv/bin/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not alone" &&
        "$venv/bin/python" -m pytest -m alone || failed="$failed $version"
done
[ -z "$failed" ] || { echo "Failed on Python$failed"; exit 1; }
