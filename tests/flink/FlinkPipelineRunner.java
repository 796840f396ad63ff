package org.apache.beam.runners.flink;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleProgressResponse;
import org.apache.beam.model.fnexecution.v1.BeamFnApi.ProcessBundleResponse;
import org.apache.beam.model.jobmanagement.v1.JobApi.GetJobMetricsResponse;
import org.apache.beam.model.jobmanagement.v1.JobApi.MetricResults;
import org.apache.beam.model.pipeline.v1.MetricsApi.MonitoringInfo;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.core.construction.NativeTransforms;
import org.apache.beam.runners.core.construction.PTransformTranslation;
import org.apache.beam.runners.core.construction.PipelineOptionsTranslation;
import org.apache.beam.runners.core.construction.graph.ExecutableStage;
import org.apache.beam.runners.core.construction.graph.GreedyPipelineFuser;
import org.apache.beam.runners.core.construction.graph.PipelineNode;
import org.apache.beam.runners.core.construction.graph.QueryablePipeline;
import org.apache.beam.runners.core.construction.graph.TrivialNativeTransformExpander;
import org.apache.beam.runners.fnexecution.control.BundleProgressHandler;
import org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory;
import org.apache.beam.runners.fnexecution.control.OutputReceiverFactory;
import org.apache.beam.runners.fnexecution.control.RemoteBundle;
import org.apache.beam.runners.fnexecution.control.StageBundleFactory;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.fnexecution.state.StateRequestHandler;
import org.apache.beam.runners.fnexecution.wire.WireCoders;
import org.apache.beam.sdk.coders.Coder;
import org.apache.beam.sdk.coders.KvCoder;
import org.apache.beam.sdk.coders.VarLongCoder;
import org.apache.beam.sdk.fn.data.FnDataReceiver;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.PortablePipelineOptions;
import org.apache.beam.sdk.util.CoderUtils;
import org.apache.beam.sdk.util.WindowedValue;
import org.apache.beam.sdk.values.KV;
import org.apache.beam.vendor.grpc.v1p48p1.com.google.protobuf.ByteString;
import org.apache.beam.vendor.grpc.v1p48p1.com.google.protobuf.Message;
import org.apache.beam.vendor.grpc.v1p48p1.com.google.protobuf.Struct;
import org.apache.beam.vendor.grpc.v1p48p1.com.google.protobuf.Value;
import org.apache.beam.vendor.grpc.v1p48p1.com.google.protobuf.util.JsonFormat;
import org.apache.flink.api.common.accumulators.Accumulator;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * A stand-in for Beam's Flink runner, for machines where Beam's own jar cannot be had.
 *
 * <p>Takes the place of the class that Beam's Python SDK starts after it has uploaded a jar with
 * {@code --flink_submit_uber_jar}, and so has its name. Everything but the translation is Beam's
 * and Flink's: fusion into stages, wire coders and the talk with the Python workers are classes of
 * Beam 2.43 in the {@code flink-python} jar, scheduling and exchange are the cluster's.
 *
 * <p>Batch jobs in the global window alone: Impulse, executable stages, GroupByKey, Flatten,
 * Reshuffle. No side inputs, state, timers. A stage is one bundle for each of its parallel
 * instances, a group is gathered in memory, and of the metrics only counters are kept.
 */
public final class FlinkPipelineRunner {
  private static final TypeInformation<byte[]> BYTES =
      PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;

  private final StreamExecutionEnvironment flink =
      StreamExecutionEnvironment.getExecutionEnvironment();
  private final Map<String, DataStream<byte[]>> streams = new HashMap<>();
  private final QueryablePipeline pipeline;

  private FlinkPipelineRunner(QueryablePipeline pipeline) {
    this.pipeline = pipeline;
  }

  /** Runs the pipeline that the SDK has put into the jar. */
  public static void main(String[] arguments) throws Exception {
    RunnerApi.Pipeline pipeline =
        TrivialNativeTransformExpander.forKnownUrns(
            read("pipeline.json", RunnerApi.Pipeline.newBuilder()).build(),
            Set.of(PTransformTranslation.RESHUFFLE_URN));
    RunnerApi.Pipeline fused = GreedyPipelineFuser.fuse(pipeline).toPipeline();
    FlinkPipelineRunner runner =
        new FlinkPipelineRunner(
            QueryablePipeline.forTransforms(
                fused.getRootTransformIdsList(), fused.getComponents()));
    Struct options = read("pipeline-options.json", Struct.newBuilder()).build();
    Value parallelism = options.getFieldsMap().get("beam:option:parallelism:v1");
    if (parallelism != null) {
      runner.flink.setParallelism(Integer.parseInt(parallelism.getStringValue()));
    }
    runner.run();
  }

  private static <T extends Message.Builder> T read(String name, T message) throws Exception {
    ClassLoader loader = FlinkPipelineRunner.class.getClassLoader();
    try (InputStream stream = loader.getResourceAsStream("BEAM-PIPELINE/pipeline/" + name);
        Reader reader = new InputStreamReader(stream, StandardCharsets.UTF_8)) {
      // Newer SDKs write fields that these classes do not know.
      JsonFormat.parser().ignoringUnknownFields().merge(reader, message);
    }
    return message;
  }

  private void run() throws Exception {
    for (PipelineNode.PTransformNode node : pipeline.getTopologicallyOrderedTransforms()) {
      RunnerApi.PTransform transform = node.getTransform();
      String urn = transform.getSpec().getUrn();
      if (urn.equals(PTransformTranslation.IMPULSE_TRANSFORM_URN)) {
        impulse(transform);
      } else if (urn.equals(ExecutableStage.URN)) {
        stage(transform);
      } else if (urn.equals(PTransformTranslation.GROUP_BY_KEY_TRANSFORM_URN)) {
        groupByKey(transform);
      } else if (urn.equals(PTransformTranslation.FLATTEN_TRANSFORM_URN)) {
        flatten(transform);
      } else if (urn.equals(PTransformTranslation.RESHUFFLE_URN)) {
        String input = only(transform.getInputsMap().values());
        streams.put(only(transform.getOutputsMap().values()), streams.get(input).rebalance());
      } else {
        throw new UnsupportedOperationException(
            "This stand-in cannot run " + transform.getUniqueName() + " (" + urn + ").");
      }
    }
    flink.execute("Beam, by the stand-in of Beam's Flink runner");
  }

  private void impulse(RunnerApi.PTransform transform) throws Exception {
    String output = only(transform.getOutputsMap().values());
    byte[] element =
        CoderUtils.encodeToByteArray(coder(output), WindowedValue.valueInGlobalWindow(new byte[0]));
    streams.put(output, flink.fromCollection(List.of(element), BYTES));
  }

  private void stage(RunnerApi.PTransform transform) throws Exception {
    RunnerApi.ExecutableStagePayload payload =
        RunnerApi.ExecutableStagePayload.parseFrom(transform.getSpec().getPayload());
    ExecutableStage stage = ExecutableStage.fromPayload(payload);
    if (!stage.getSideInputs().isEmpty()
        || !stage.getUserStates().isEmpty()
        || !stage.getTimers().isEmpty()) {
      throw new UnsupportedOperationException(
          "This stand-in has no side inputs, state or timers: " + transform.getUniqueName());
    }
    String input = stage.getInputPCollection().getId();
    Map<String, Coder<WindowedValue<Object>>> outputs = new LinkedHashMap<>();
    for (String output : transform.getOutputsMap().values()) {
      outputs.put(output, coder(output));
    }
    SingleOutputStreamOperator<byte[]> done =
        streams
            .get(input)
            .transform(
                transform.getUniqueName(),
                BYTES,
                new StageOperator(payload.toByteArray(), coder(input), outputs));
    done.sinkTo(new DiscardingSink<>());
    for (String output : outputs.keySet()) {
      streams.put(output, done.getSideOutput(tag(output)));
    }
  }

  private void groupByKey(RunnerApi.PTransform transform) throws Exception {
    String input = only(transform.getInputsMap().values());
    String output = only(transform.getOutputsMap().values());
    Coder<WindowedValue<Object>> coder = coder(input);
    DataStream<byte[]> partitioned =
        streams
            .get(input)
            .partitionCustom(
                (Integer hash, int count) -> Math.floorMod(hash, count),
                (byte[] record) -> Arrays.hashCode(key(coder, value(coder, record))));
    streams.put(
        output,
        partitioned.transform(
            transform.getUniqueName(), BYTES, new GroupOperator(coder, coder(output))));
  }

  private void flatten(RunnerApi.PTransform transform) throws Exception {
    String output = only(transform.getOutputsMap().values());
    Coder<WindowedValue<Object>> to = coder(output);
    DataStream<byte[]> all = null;
    for (String input : transform.getInputsMap().values()) {
      Coder<WindowedValue<Object>> from = coder(input);
      DataStream<byte[]> one =
          streams
              .get(input)
              .map(
                  record ->
                      CoderUtils.encodeToByteArray(
                          to, CoderUtils.decodeFromByteArray(from, record)))
              .returns(BYTES);
      all = all == null ? one : all.union(one);
    }
    streams.put(output, all);
  }

  /** How a collection's elements travel; values of unknown types stay the bytes they are. */
  private Coder<WindowedValue<Object>> coder(String collection) throws Exception {
    RunnerApi.Components components = pipeline.getComponents();
    return WireCoders.instantiateRunnerWireCoder(
        PipelineNode.pCollection(collection, components.getPcollectionsOrThrow(collection)),
        components);
  }

  private static KV<Object, Object> value(Coder<WindowedValue<Object>> coder, byte[] record)
      throws Exception {
    @SuppressWarnings("unchecked")
    KV<Object, Object> value =
        (KV<Object, Object>) CoderUtils.decodeFromByteArray(coder, record).getValue();
    return value;
  }

  private static byte[] key(Coder<WindowedValue<Object>> coder, KV<Object, Object> value)
      throws Exception {
    Coder<?> inner = ((WindowedValue.WindowedValueCoder<?>) coder).getValueCoder();
    @SuppressWarnings("unchecked")
    Coder<Object> keys = ((KvCoder<Object, Object>) inner).getKeyCoder();
    return CoderUtils.encodeToByteArray(keys, value.getKey());
  }

  private static OutputTag<byte[]> tag(String collection) {
    return new OutputTag<>(collection, BYTES);
  }

  private static String only(Collection<String> names) {
    if (names.size() != 1) {
      throw new IllegalArgumentException("found " + names + ", expected one collection");
    }
    return names.iterator().next();
  }

  /** Tells Beam's fusion, which finds it as a service, that Reshuffle is a step of its own. */
  public static final class Natives implements NativeTransforms.IsNativeTransform {
    @Override
    public boolean test(RunnerApi.PTransform transform) {
      return transform.getSpec().getUrn().equals(PTransformTranslation.RESHUFFLE_URN);
    }
  }

  /** Sends what comes in to a Python worker, and sends on what comes back. */
  private static final class StageOperator extends AbstractStreamOperator<byte[]>
      implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput {
    private final byte[] payload;
    private final Coder<WindowedValue<Object>> input;
    private final Map<String, Coder<WindowedValue<Object>>> outputs;

    private transient Counters counters;
    private transient Queue<KV<String, byte[]>> made;
    private transient DefaultJobBundleFactory workers;
    private transient StageBundleFactory bundles;
    private transient RemoteBundle bundle;

    private StageOperator(
        byte[] payload,
        Coder<WindowedValue<Object>> input,
        Map<String, Coder<WindowedValue<Object>>> outputs) {
      this.payload = payload;
      this.input = input;
      this.outputs = outputs;
    }

    @Override
    public void open() throws Exception {
      super.open();
      made = new ConcurrentLinkedQueue<>();
      counters = new Counters();
      // The name under which Beam's Python SDK looks for them.
      getRuntimeContext().addAccumulator("__metricscontainers", counters);
    }

    @Override
    public void processElement(StreamRecord<byte[]> record) throws Exception {
      if (bundle == null) {
        // Only now, so that an instance without elements starts no worker.
        begin();
      }
      @SuppressWarnings("unchecked")
      FnDataReceiver<WindowedValue<Object>> receiver =
          bundle.getInputReceivers().values().iterator().next();
      receiver.accept(CoderUtils.decodeFromByteArray(input, record.getValue()));
      sendOn();
    }

    @Override
    public void endInput() throws Exception {
      if (bundle != null) {
        bundle.close();
        sendOn();
      }
    }

    @Override
    public void close() throws Exception {
      try (AutoCloseable closedLast = workers;
          AutoCloseable closedFirst = bundles) {
        super.close();
      }
    }

    private void begin() throws Exception {
      PortablePipelineOptions options = PipelineOptionsFactory.as(PortablePipelineOptions.class);
      options.setSdkWorkerParallelism(1);
      workers =
          DefaultJobBundleFactory.create(
              JobInfo.create("job", "job", "", PipelineOptionsTranslation.toProto(options)));
      bundles =
          workers.forStage(
              ExecutableStage.fromPayload(RunnerApi.ExecutableStagePayload.parseFrom(payload)));
      bundle =
          bundles.getBundle(
              new OutputReceiverFactory() {
                @Override
                @SuppressWarnings("unchecked")
                public <T> FnDataReceiver<T> create(String collection) {
                  Coder<T> coder = (Coder<T>) outputs.get(collection);
                  return element ->
                      made.add(KV.of(collection, CoderUtils.encodeToByteArray(coder, element)));
                }
              },
              StateRequestHandler.unsupported(),
              counters);
    }

    private void sendOn() {
      for (KV<String, byte[]> one = made.poll(); one != null; one = made.poll()) {
        output.collect(tag(one.getKey()), new StreamRecord<>(one.getValue()));
      }
    }
  }

  /** Gathers the values of each key and passes them on when the input has ended. */
  private static final class GroupOperator extends AbstractStreamOperator<byte[]>
      implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput {
    private final Coder<WindowedValue<Object>> input;
    private final Coder<WindowedValue<Object>> grouped;

    private transient Map<ByteBuffer, KV<Object, List<Object>>> groups;

    private GroupOperator(
        Coder<WindowedValue<Object>> input, Coder<WindowedValue<Object>> grouped) {
      this.input = input;
      this.grouped = grouped;
    }

    @Override
    public void open() throws Exception {
      super.open();
      groups = new LinkedHashMap<>();
    }

    @Override
    public void processElement(StreamRecord<byte[]> record) throws Exception {
      KV<Object, Object> value = value(input, record.getValue());
      groups
          .computeIfAbsent(
              ByteBuffer.wrap(key(input, value)), key -> KV.of(value.getKey(), new ArrayList<>()))
          .getValue()
          .add(value.getValue());
    }

    @Override
    public void endInput() throws Exception {
      for (KV<Object, List<Object>> group : groups.values()) {
        WindowedValue<Object> whole = WindowedValue.valueInGlobalWindow(group);
        output.collect(new StreamRecord<>(CoderUtils.encodeToByteArray(grouped, whole)));
      }
      groups.clear();
    }
  }

  /** Beam's counters as one of Flink's accumulators, in the JSON that Beam's Python SDK reads. */
  private static final class Counters
      implements Accumulator<MonitoringInfo, String>, BundleProgressHandler {
    private static final String COUNTER = "beam:metric:user:sum_int64:v1";

    private final Map<Map<String, String>, Long> sums = new HashMap<>();

    @Override
    public void onProgress(ProcessBundleProgressResponse progress) {}

    @Override
    public void onCompleted(ProcessBundleResponse response) {
      response.getMonitoringInfosList().forEach(this::add);
    }

    @Override
    public synchronized void add(MonitoringInfo info) {
      if (!info.getUrn().equals(COUNTER)) {
        return;
      }
      try {
        long value =
            CoderUtils.decodeFromByteArray(VarLongCoder.of(), info.getPayload().toByteArray());
        sums.merge(new HashMap<>(info.getLabelsMap()), value, Long::sum);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    @Override
    public synchronized String getLocalValue() {
      MetricResults.Builder results = MetricResults.newBuilder();
      try {
        for (Map.Entry<Map<String, String>, Long> sum : sums.entrySet()) {
          byte[] payload = CoderUtils.encodeToByteArray(VarLongCoder.of(), sum.getValue());
          MonitoringInfo info =
              MonitoringInfo.newBuilder()
                  .setUrn(COUNTER)
                  .setType("beam:metrics:sum_int64:v1")
                  .setPayload(ByteString.copyFrom(payload))
                  .putAllLabels(sum.getKey())
                  .build();
          results.addAttempted(info).addCommitted(info);
        }
        return JsonFormat.printer()
            .print(GetJobMetricsResponse.newBuilder().setMetrics(results).build());
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    @Override
    public synchronized void resetLocal() {
      sums.clear();
    }

    @Override
    public synchronized void merge(Accumulator<MonitoringInfo, String> other) {
      ((Counters) other).sums.forEach((labels, value) -> sums.merge(labels, value, Long::sum));
    }

    @Override
    public synchronized Counters clone() {
      Counters copy = new Counters();
      copy.merge(this);
      return copy;
    }
  }
}
