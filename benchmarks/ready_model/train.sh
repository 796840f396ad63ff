#!/usr/bin/env bash
# Makes the model that comes with the package: recordings, features, what it is worth, the model.
# Run again after a kill: what is finished is kept.
#
#   make ready-model SER_KERAS_DATA=DATA
#   bash benchmarks/ready_model/train.sh DATA RUNS     # the same, in the environment of make venv
#
# DATA holds emodb/, ravdess/ and nemo/; everything else goes into RUNS, about 4 GB. On two processor
# cores it takes about an hour. On the same machine the same weights come out.
set -euo pipefail
usage="usage: bash benchmarks/ready_model/train.sh DATA RUNS"
data=${1:?"$usage; found no DATA, expected the folder of emodb/, ravdess/ and nemo/"}
runs=${2:?"$usage; found no RUNS, expected a folder for everything that is made"}
here=$(cd "$(dirname "$0")" && pwd)
recipe=$here/ready.yaml
published=$here/../../serving/ready/model
# calibrate.py and worth.py read runs; what TensorFlow says about this machine is of no use there.
export TF_CPP_MIN_LOG_LEVEL=3

python "$here/corpus.py" "$data" "$runs/recordings"
for table in by-corpus by-speaker; do
  ser features --corpus manifest --data-dir "$runs/recordings/$table.csv" --spec mel64-prosody \
    --trim-db 35 --name "ready-$table" --output "$runs/$table-features"
  # Each corpus is tested by a model that was trained on the others; then each group of speakers.
  ser crossval --features "$runs/$table-features" --protocol manifest-session --recipe "$recipe" \
    --output "$runs/$table"
done
ser train --features "$runs/by-speaker-features" --protocol manifest-session --fold everyone \
  --recipe "$recipe" --output "$runs/everyone"
python "$here/calibrate.py" "$runs/by-corpus" "$runs/everyone"
python "$here/worth.py" "$runs/by-corpus" "$runs/by-speaker" "$runs/by-speaker-features" \
  "$runs/worth.json"
# The model in use is replaced only by a whole one.
rm -rf "$runs/model"
ser export "$runs/everyone" --features "$runs/by-speaker-features" \
  --data-dir "$runs/recordings/by-speaker.csv" --base "$runs/model" --name ready \
  --worth "$runs/worth.json"
# Warm-up requests are for servers under load, and would be half of the files.
extra=$runs/model/ready/1/assets.extra
rm -f "$extra/tf_serving_warmup_requests"
sed -i '/tf_serving_warmup_requests$/d' "$extra/SHA256SUMS"
(cd "$runs/model" && find ready/1 -name saved_model.pb -o -name 'variables.*' | sort |
  xargs sha256sum > SHA256SUMS)
rm -rf "$published"
cp -r "$runs/model" "$published"
