#!/usr/bin/env bash
# Makes the model that comes with the package: recordings, features, what it is worth, the model.
# Run again after a kill: what is finished is kept.
#
#   bash benchmarks/ready_model/train.sh DATA RUNS
#
# DATA holds emodb/, ravdess/ and nemo/; everything else goes into RUNS, about 4 GB. On two processor
# cores it takes about an hour. On the same machine the same weights come out.
set -euo pipefail
data=$1 runs=$2 here=$(dirname "$0")
recipe=$here/ready.yaml

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
rm -rf serving/ready/model
ser export "$runs/everyone" --features "$runs/by-speaker-features" \
  --data-dir "$runs/recordings/by-speaker.csv" --base serving/ready/model --name ready \
  --worth "$runs/worth.json"
# Warm-up requests are for servers under load, and would be half of the files.
extra=serving/ready/model/ready/1/assets.extra
rm -f "$extra/tf_serving_warmup_requests"
sed -i '/tf_serving_warmup_requests$/d' "$extra/SHA256SUMS"
(cd serving/ready/model && find ready/1 -name saved_model.pb -o -name 'variables.*' | sort |
  xargs sha256sum > SHA256SUMS)
