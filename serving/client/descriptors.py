"""Writes the protocol for other languages: python -m serving.client.descriptors serving.desc."""

import sys
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from ser_keras.files import write_bytes

# Service: method: (request, response).
SERVICES = {
    "PredictionService": {
        "Predict": ("PredictRequest", "PredictResponse"),
        "GetModelMetadata": ("GetModelMetadataRequest", "GetModelMetadataResponse"),
    },
    "ModelService": {
        "GetModelStatus": ("GetModelStatusRequest", "GetModelStatusResponse"),
        "HandleReloadConfigRequest": ("ReloadConfigRequest", "ReloadConfigResponse"),
    },
}


def descriptor_set() -> FileDescriptorSet:
    """Returns PredictionService and ModelService with all that they need, dependencies first.

    gRPC libraries that load descriptors at run time need neither a compiler nor a .proto file. The
    services are built here, because the modules of `tensorflow-serving-api` 2.16 that hold them
    cannot be imported with today's protobuf.

    Example:
        >>> [service.name for service in descriptor_set().file[-1].service]
        ['PredictionService', 'ModelService']
    """
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_management_pb2,
        predict_pb2,
    )

    message_files = (
        predict_pb2.DESCRIPTOR,
        get_model_metadata_pb2.DESCRIPTOR,
        get_model_status_pb2.DESCRIPTOR,
        model_management_pb2.DESCRIPTOR,
    )
    files: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in files:
            for dependency in file.dependencies:
                add(dependency)
            files[file.name] = file

    for file in message_files:
        add(file)
    descriptors = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(descriptors.file.add())
    descriptors.file.append(_services([file.name for file in message_files]))
    return descriptors


def _services(dependencies: list[str]) -> FileDescriptorProto:
    """Returns the file of the services; `dependencies` are the files of their messages."""
    package = "tensorflow.serving"
    file = FileDescriptorProto(
        name="serving_services.proto", package=package, syntax="proto3", dependency=dependencies
    )
    for name, methods in SERVICES.items():
        service = file.service.add(name=name)
        for method, (request, response) in methods.items():
            service.method.add(
                name=method,
                input_type=f".{package}.{request}",
                output_type=f".{package}.{response}",
            )
    return file


if __name__ == "__main__":
    write_bytes(Path(sys.argv[1]), descriptor_set().SerializeToString())
