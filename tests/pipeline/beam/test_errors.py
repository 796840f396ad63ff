import pytest

from pipeline.beam.errors import cause_of

LOST = """\
org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id a is no longer reachable.
\tat org.apache.flink.runtime.jobmaster.JobMaster.notifyTargetUnreachable(JobMaster.java:1640)
\tat java.base/java.util.concurrent.ForkJoinTask.doExec(ForkJoinTask.java:373)
"""
REFUSED = (
    'Request to http://a:8081/v1/jars/b/run failed with status 400: {"errors":["Could not execute '
    "application.\\n\\tat org.apache.flink.Runner.lambda$run$1(Runner.java:114)\\nCaused by: "
    "org.apache.flink.Wrapped: no.\\n\\t... 1 more\\nCaused by: java.lang.Unsupported: No side "
    "inputs.\\n\\t... 2 more\\n"
)
NO_POOL = """\
java.lang.RuntimeException: Operator failed
Caused by: io.netty.channel.AnnotatedConnectException: Connection refused: /127.0.0.1:9
Caused by: java.net.ConnectException: Connection refused
\tat io.netty.channel.unix.Errors.newConnectException0(Errors.java:155)
"""
WORKER = """\
Pipeline job failed in state FAILED: java.lang.RuntimeException: Operator failed
\tat org.apache.flink.Task.run(Task.java:1)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 2: \
Traceback (most recent call last):
  File "transforms.py", line 1, in write_shard
OSError: [Errno 5] Input/output error

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "sdk_worker.py", line 1, in _execute
OSError: [Errno 5] Input/output error [while running 'Write shard']

\tat org.apache.beam.SdkHarnessClient.close(SdkHarnessClient.java:1)
\tSuppressed: java.lang.IllegalStateException: Processing bundle failed
\t\t... 4 more
"""
# A call to Prism, whose process was killed.
GONE = """\
<_MultiThreadedRendezvous of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "Socket closed"
\tdebug_error_string = "UNKNOWN:Error received from peer {grpc_status:14}"
>"""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a worker died. Give fewer --workers.", "a worker died. Give fewer --workers."),
        ("first\n\nlast", "last"),
        ("", "RuntimeError"),
        ("no answer\n}\n>", "no answer"),
        (">", "RuntimeError"),
        (GONE, "the runner's job server does not answer (UNAVAILABLE: Socket closed)"),
        ("failed\nCaused by: java.lang.OutOfMemoryError", "java.lang.OutOfMemoryError"),
        (WORKER, "OSError: [Errno 5] Input/output error [while running 'Write shard']"),
        (REFUSED, "java.lang.Unsupported: No side inputs."),
        (NO_POOL, "io.netty.channel.AnnotatedConnectException: Connection refused: /127.0.0.1:9"),
        (
            LOST,
            "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id a is no "
            "longer reachable.",
        ),
    ],
)
def test_the_cause_is_found_in_the_error_of_a_runner(text, cause):
    assert cause_of(RuntimeError(text)) == cause
