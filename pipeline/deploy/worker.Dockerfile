# A Beam worker with this package, in the versions of the driver:
#   docker build -f pipeline/deploy/worker.Dockerfile -t ser-keras-worker .
# For Flink and Spark it runs beside each task manager or executor, as a pool:
#   docker run --network=host -v /shared:/shared ser-keras-worker --worker_pool
# The pool runs whatever reaches its port 50000: keep that inside the cluster's network.
# The version is that of the driver's Beam, in constraints.txt.
FROM apache/beam_python3.11_sdk:2.77.0

WORKDIR /opt/ser-keras
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE ./
COPY ser_keras ser_keras
COPY pipeline pipeline
COPY tuning tuning
COPY serving serving
RUN pip install --no-cache-dir --constraint constraints.txt .
