"""Whatever can be exported has listed operations alone, so that its export is not refused."""

import keras
import pytest

from ser_keras.data.segments import WHOLE
from ser_keras.features.graph_features import TWINS
from ser_keras.features.specs import SPECS, get_spec
from ser_keras.models import MODELS, build_model
from serving.export.signatures import Served, ServedModule
from serving.export.trust.operations import LISTED
from tests.serving import adapted, exports

pytestmark = pytest.mark.slow

# Of models that are too large for a test, and of those that read other features than `logmel23`.
OPTIONS = {
    "alexnet_fcn": {"width": 0.0625, "input_channels": 1, "input_scaling": "standard"},
    "alexnet_fixed": {"width": 0.0625},
    "attention_cnn": {"pool_after": (1, 2, 3, 4)},
    "predictive_vrnn": exports.VRNN,
    "sparse_autoencoder": {"encoder_units": 400, "recurrent_units": 8},
    "vgg16_fixed": {"dense_units": 8},
}


def operations(served):
    """The names of all operations in the graphs of a model's signatures."""
    # Those of the adapted track are traced already.
    traced = [
        getattr(signature, "get_concrete_function", lambda signature=signature: signature)()
        for signature in ServedModule(served).signatures().values()
    ]
    graphs = [function.graph.as_graph_def() for function in traced]
    nodes = [node for graph in graphs for node in graph.node]
    functions = [function for graph in graphs for function in graph.library.function]
    nodes += [node for function in functions for node in function.node_def]
    return {node.op for node in nodes} - {function.signature.name for function in functions}


@pytest.mark.parametrize("name", MODELS)
def test_the_operations_of_every_model_are_listed(name):
    of_speakers = name == "functional_network"
    spec = get_spec("mel64-prosody" if of_speakers else "spectrogram200")
    options = OPTIONS.get(name, {})
    if of_speakers:
        options = {"speaker": {"functionals": adapted.functionals_count()}}
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=4, dim=spec.dim, **options)
    assert operations(Served(model, spec, exports.CLASSES, WHOLE)) <= LISTED


@pytest.mark.parametrize("name", [name for name in SPECS if get_spec(name).kind in TWINS])
def test_the_operations_of_every_kind_of_features_are_listed(name):
    spec = get_spec(name)
    model = build_model("moma", num_classes=4, dim=spec.dim, units=8, attention_units=4)
    assert operations(Served(model, spec, exports.CLASSES, WHOLE)) <= LISTED


def test_the_operations_of_the_adapted_track_are_listed():
    assert operations(adapted.small()) <= LISTED
