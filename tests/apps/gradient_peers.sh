#!/usr/bin/env bash
# Writes gradients and has them checked by other tools.
# Usage: gradient_peers.sh SLOPEWISE PYTHON CHECK small|mnist [CHECK OPTION]…
# Exit code 77: skipped, for want of data or of a peer.
set -euo pipefail

slopewise=$1 python=$2 check=$3 size=$4
shift 4

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"

# try LAW GRADIENT-OPTION…: writes one gradient and has it checked.
try() {
  local law=$1
  shift
  echo "--- $law $*"
  "$slopewise" gradient --quiet --law "$law" "$@" --save-parameters weights.npz --example batch.npz
  "$python" "$check" gradient.npz --law "$law" --parameters weights.npz --example batch.npz "${options[@]}"
}
options=("$@")

case $size in
  small)
    try gaussian --hidden 48,24 --batch 16 --samples 50 --tangents 3
    try rademacher --hidden 48,24 --batch 16 --samples 50 --precision float64 --seed 7
    try rademacher --model logistic --samples 50 --tangents 2
    ;;
  mnist)
    if [[ -z ${SLOPEWISE_DATA:-} ]]; then
      echo "skipped: SLOPEWISE_DATA is not set to a directory that holds MNIST"
      exit 77
    fi
    data=$SLOPEWISE_DATA
    [[ -d $data/mnist ]] && data=$data/mnist
    try gaussian --data "$data" --hidden 1024,1024 --batch 64 --samples 20
    try rademacher --data "$data" --hidden 1024,1024 --batch 64 --samples 20 --tangents 4
    ;;
esac
