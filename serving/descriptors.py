"""Writes the protocol for other languages: python -m serving.descriptors serving.desc."""

import sys
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from ser_keras.training.checkpoint import write_atomic


def descriptor_set() -> FileDescriptorSet:
    """Returns PredictionService and ModelService with all that they need, dependencies first.

    gRPC libraries that load descriptors at run time need neither a compiler nor a .proto file.

    Example:
        >>> names = [file.name for file in descriptor_set().file]
        >>> names.index("tensorflow_serving/apis/predict.proto") < len(names) - 1
        True
    """
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    found: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in found:
            for needed in file.dependencies:
                add(needed)
            found[file.name] = file

    add(prediction_service_pb2.DESCRIPTOR)
    add(model_service_pb2.DESCRIPTOR)
    files = FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
    return files


if __name__ == "__main__":
    write_atomic(Path(sys.argv[1]), lambda file: file.write(descriptor_set().SerializeToString()))
