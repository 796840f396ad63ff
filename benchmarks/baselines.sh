#!/usr/bin/env bash
# Makes the baselines that every result stands beside: support vector machines on openSMILE's
# functionals, both kernels and both tracks. Run again after a kill: features are kept.
#
#   bash benchmarks/baselines.sh DATA WORK [PATTERN]
#
# DATA holds emodb/, emodb-2s/, ravdess/ and nemo/; features go into WORK, results into results/;
# only features whose name, such as nemo-compare, matches PATTERN are used. It needs the extra
# opensmile.
set -euo pipefail
data=$1 work=$2 pattern=${3:-.}

baselines() { # NAME CORPUS SPEC PROTOCOL:CLASSES...
  local name=$1 corpus=$2 spec=$3 features=$work/features/$1-$3 folds
  shift 3
  [[ $name-$spec =~ $pattern ]] || return 0
  echo "=== $name-$spec"
  ser features --corpus "$corpus" --data-dir "$data/$name" --spec "$spec" --name "$name" \
    --allow-partial --output "$features"
  for folds in "$@"; do
    ser baseline --features "$features" --protocol "${folds%:*}" --classes "${folds#*:}" \
      --results results
  done
}

for spec in egemaps compare; do
  baselines emodb emodb "$spec" emodb-loso:emodb4 emodb-speaker-dependent-10:emodb4
  baselines emodb-2s emodb "$spec" emodb-loso:emodb7 emodb-speaker-dependent-10:emodb7
  baselines ravdess ravdess "$spec" ravdess-actor5:ravdess8 ravdess-speaker-dependent-5:ravdess8
  baselines nemo nemo "$spec" nemo-loso:nemo6
done
