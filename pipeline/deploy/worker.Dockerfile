# A Beam worker with this package, in the versions of the driver. A tag may be moved to another
# image, a digest not; without one the build ends with "invalid reference format".
#   BASE=apache/beam_python3.11_sdk:2.77.0
#   docker build -f pipeline/deploy/worker.Dockerfile -t registry.example.org/ser-keras-worker \
#     --build-arg BEAM_DIGEST=$(docker buildx imagetools inspect $BASE --format '{{.Manifest.Digest}}') .
#   docker push registry.example.org/ser-keras-worker
# The push prints the digest for worker.compose.yaml, which runs it for Flink and Spark, as a pool
# beside each task manager or executor, and for the image of dataflow.options.
ARG BEAM_DIGEST
# The version is that of the driver's Beam, in constraints.txt.
FROM apache/beam_python3.11_sdk:2.77.0@${BEAM_DIGEST}

WORKDIR /opt/ser-keras
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE ./
COPY ser_keras ser_keras
COPY pipeline pipeline
COPY tuning tuning
COPY serving serving
RUN pip install --no-cache-dir --constraint constraints.txt .

# All that a job needs is installed. Beam would otherwise make an environment when a worker starts,
# in a folder of root's.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 HOME=/tmp
# Nobody's account: what a job runs may write to /tmp and to the shared disk alone.
USER 65532:65532
