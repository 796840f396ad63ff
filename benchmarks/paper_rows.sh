#!/usr/bin/env bash
# Trains the rows of the README that have their papers' settings, on EmoDB and RAVDESS, and writes
# them into results/. Run again after a kill: finished folds are kept, an unfinished one goes on.
#
#   bash benchmarks/paper_rows.sh DATA RUNS [PATTERN]
#
# DATA holds emodb/ and ravdess/; features and runs go into RUNS; only rows whose name matches
# PATTERN are trained. All of them take about twenty hours of one processor core: CNN and MOMA have
# most of it, an hour or more for each fold.
set -euo pipefail
data=$1 runs=$2 pattern=${3:-.}
folds=(03 09 13)

features() { # CORPUS SPEC
  ser features --corpus "$1" --data-dir "$data/$1" --spec "$2" --allow-partial \
    --output "$runs/features/$1-$2"
}

row() { # NAME CORPUS SPEC PROTOCOL OPTIONS...
  local name=$1 corpus=$2 spec=$3 protocol=$4
  shift 4
  [[ $name =~ $pattern ]] || return 0
  echo "=== $name"
  features "$corpus" "$spec"
  ser crossval --features "$runs/features/$corpus-$spec" --protocol "$protocol" \
    --output "$runs/$name" --results results "$@"
}

emodb() { # NAME SPEC OPTIONS...
  local name=$1 spec=$2
  shift 2
  row "$name" emodb "$spec" emodb-loso --classes emodb4 "$@"
}

vrnn() { # NAME SPEC OPTIONS...
  local name=$1 spec=$2
  shift 2
  row "$name" ravdess "$spec" ravdess-speaker-dependent-5 --fold part1 \
    --recipe predictive_vrnn --set "spec=$spec" "$@"
}

chosen=("${folds[@]/#/--fold=speaker-}")
more=("${chosen[@]}" --fold=speaker-08 --fold=speaker-16)

vrnn vrnn-ravdess mfcc40-windows
vrnn vrnn-ravdess-noatt mfcc40-windows --set model.options.attention=false
vrnn vrnn-ravdess-short mfcc40-windows-short
vrnn vrnn-ravdess-short-noatt mfcc40-windows-short --set model.options.attention=false
emodb vrnn-emodb mfcc40-windows --recipe predictive_vrnn "${chosen[@]}"
emodb fcn-emodb spectrogram200 --recipe alexnet_fcn "${chosen[@]}"
if [[ ae-emodb =~ $pattern ]]; then features ravdess logmel40-deltas; fi
emodb ae-emodb logmel40-deltas --recipe sparse_autoencoder "${more[@]}" \
  --unlabelled "$runs/features/ravdess-logmel40-deltas"
emodb ae-emodb-labelled logmel40-deltas --recipe sparse_autoencoder-labelled "${more[@]}"
emodb cnn-emodb spectrogram400 --recipe attention_cnn "${chosen[@]}"
for head in gap bilinear; do
  emodb "cnn-emodb-$head" spectrogram400 --recipe attention_cnn --fold speaker-03 \
    --set "model.options.head=$head"
done
emodb moma-emodb logmel23 --recipe moma "${chosen[@]}"
for attention in single none; do
  emodb "moma-emodb-$attention" logmel23 --recipe moma --fold speaker-03 \
    --set "model.options.attention=$attention"
done
emodb moma-emodb-scaled logmel23 --recipe moma --fold speaker-03 \
  --set model.options.scale_by_length=true
if [[ filter-study =~ $pattern ]]; then
  features emodb spectrogram400
  ser study filter_shapes --features "$runs/features/emodb-spectrogram400" --protocol emodb-loso \
    --classes emodb4 --fold speaker-03 --value 2 --value 10 --value 40 --value 8 --value 30 \
    --output "$runs/filter-study" --results results
fi
