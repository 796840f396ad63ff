"""The messages of TensorFlow Serving's protocol, without TensorFlow.

The stubs of `tensorflow-serving-api` import all of TensorFlow, which takes seconds and hundreds of
megabytes, for a few messages. These have the same names, fields and numbers, and so the same bytes;
a test compares them. `serving.client.tensors` turns arrays into tensors and back.
"""

from collections.abc import Mapping

from serving.client.message_classes import Fields, message_classes

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

MESSAGES: Mapping[str, Fields] = {
    "tensorflow.TensorShapeProto": {"dim": (2, "*tensorflow.TensorShapeProto.Dim")},
    "tensorflow.TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "tensorflow.TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "double_val": (6, "*double"),
        "int_val": (7, "*int32"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
    },
    "google.protobuf.Int64Value": {"value": (1, "int64")},
    "google.protobuf.Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "tensorflow.serving.ModelSpec": {
        "name": (1, "string"),
        "version": (2, "google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "?string"),
    },
    "tensorflow.serving.PredictRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "inputs": (2, "map tensorflow.TensorProto"),
        "output_filter": (3, "*string"),
    },
    "tensorflow.serving.PredictResponse": {
        "outputs": (1, "map tensorflow.TensorProto"),
        "model_spec": (2, "tensorflow.serving.ModelSpec"),
    },
    "tensorflow.serving.GetModelMetadataRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata_field": (2, "*string"),
    },
    "tensorflow.serving.GetModelMetadataResponse": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata": (2, "map google.protobuf.Any"),
    },
    # Without inputs and outputs: the client only reads which signatures there are.
    "tensorflow.SignatureDef": {"method_name": (3, "string")},
    "tensorflow.serving.SignatureDefMap": {"signature_def": (1, "map tensorflow.SignatureDef")},
    "tensorflow.serving.GetModelStatusRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
    },
    "tensorflow.serving.StatusProto": {
        "error_code": (1, "int32"),
        "error_message": (2, "string"),
    },
    "tensorflow.serving.ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, "tensorflow.serving.StatusProto"),
    },
    "tensorflow.serving.GetModelStatusResponse": {
        "model_version_status": (1, "*tensorflow.serving.ModelVersionStatus"),
    },
}
# Number of the state of a version that answers.
AVAILABLE = 30

_CLASSES = message_classes("ser/serving.proto", MESSAGES)
TensorProto = _CLASSES["tensorflow.TensorProto"]
PredictRequest = _CLASSES["tensorflow.serving.PredictRequest"]
PredictResponse = _CLASSES["tensorflow.serving.PredictResponse"]
GetModelMetadataRequest = _CLASSES["tensorflow.serving.GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["tensorflow.serving.GetModelMetadataResponse"]
SignatureDefMap = _CLASSES["tensorflow.serving.SignatureDefMap"]
GetModelStatusRequest = _CLASSES["tensorflow.serving.GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["tensorflow.serving.GetModelStatusResponse"]
