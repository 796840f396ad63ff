#!/usr/bin/env bash
# Asks a server over REST: examples/curl.sh speech.wav [http://localhost:8501] [model]
set -euo pipefail
wav=$1 address=${2:-http://localhost:8501} model=${3:-moma}
# By standard input: the text of a recording is longer than a command line may be.
printf '{"signature_name": "wav_bytes", "instances": [{"b64": "%s"}]}' "$(base64 -w0 "$wav")" |
  curl --silent --show-error --fail-with-body --data @- "$address/v1/models/$model:predict"
