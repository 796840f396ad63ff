"""The training settings of each paper as data: one row per setting, with the paper's sentence.

A value is what a recipe with `settings: paper` must hold under the key. Sentences are quoted from
the papers, shortened where "..." stands.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """A setting that a paper names.

    Args:
        key: str. Key of the resolved recipe, such as "optimizer.learning_rate".
        value: the paper's value.
        section: str. Section of the paper.
        sentence: str. The paper's words.
    """

    key: str
    value: Any
    section: str
    sentence: str


_MOMA = (
    Setting(
        "spec",
        "logmel23",
        "4.2",
        "sequence model based systems performed best with 23-dimensional log-Mel filterbank "
        "features",
    ),
    Setting("model.name", "moma", "3.2", "This acts like an attention mixture model"),
    Setting(
        "model.options.units",
        512,
        "3.3",
        "The BLSTM Encoder contains two hidden layers of 512 nodes each. It outputs a stacked "
        "matrix of size [number of frames]x1024.",
    ),
    Setting("model.options.layers", 2, "3.3", "two hidden layers"),
    Setting(
        "model.options.attention_units",
        128,
        "3.3",
        "The attention mechanism is computing a context vector of size 128.",
    ),
    Setting(
        "model.options.blocks", 3, "3.3", "passed to the MOMA layer with three attention blocks"
    ),
    Setting("optimizer.name", "adam", "4.3", "The Adam optimiser [28] is applied"),
    Setting("optimizer.learning_rate", 1e-4, "4.3", "with the initial learning rate of 0.0001"),
    Setting(
        "optimizer.schedule",
        "plateau",
        "4.3",
        "the PyTorch approach of ReduceLROnPlateau has been investigated",
    ),
    Setting(
        "optimizer.plateau_patience",
        4,
        "4.3",
        "The optimum patience setting was found to be 4 epochs",
    ),
    Setting("optimizer.decay", 0.1, "4.3", "with a multiplicative factor of 0.1"),
)

_VRNN = (
    Setting(
        "spec",
        "mfcc40-windows",
        "3.2",
        "we extract windows of 2 second duration, with 50% overlap. From each window, we extract "
        "40 MFCCs",
    ),
    Setting("model.name", "predictive_vrnn", "2.3", "The model predicts using a VRNN"),
    Setting(
        "objective.generation_weight",
        1.0,
        "3.2",
        "The parameters beta = 1, lambda 1 = 1, lambda 2 = 50 are fixed.",
    ),
    Setting("objective.classification_weight", 50.0, "3.2", "lambda 2 = 50"),
    Setting("objective.kl_weight", 1.0, "3.2", "beta = 1"),
    Setting(
        "objective.label_time",
        "every",
        "2.3, Eq. 5",
        "the sum over t = 1..T holds lambda 2 log p(y_t | z, x)",
    ),
    Setting("batch.size", 256, "3.2", "We consider a minibatch size of 256."),
    Setting("optimizer.name", "rmsprop", "3.2", "RMSProp optimization"),
    Setting("optimizer.learning_rate", 1e-3, "3.2", "with a learning rate of 0.001"),
    Setting(
        "optimizer.rho",
        0.99,
        "Algorithm 1, line 2",
        "Initialize optimizer parameters: beta 1 = 0.9, beta 2 = 0.99, eta = 0.001, "
        "epsilon = 10^-10.",
    ),
    Setting("optimizer.epsilon", 1e-10, "Algorithm 1, line 2", "epsilon = 10^-10"),
)


def _vrnn_sizes(
    units: tuple[int, int, int], latent: int, dropouts: tuple[float, float, float], sentences: Any
) -> tuple[Setting, ...]:
    names = ("recognition", "generation", "classification")
    sizes, dropout = sentences
    return (
        *(
            Setting(f"model.options.{name}_units", size, "3.2", sizes)
            for name, size in zip(names, units, strict=True)
        ),
        Setting("model.options.latent_dim", latent, "3.2", sizes),
        *(
            Setting(f"model.options.{name}_dropout", share, "3.2", dropout)
            for name, share in zip(names, dropouts, strict=True)
        ),
    )


_VRNN_RAVDESS = _vrnn_sizes(
    (512, 256, 512),
    20,
    (0.3, 0.3, 0.1),
    (
        "For RAVDESS, the recognition, generation and classification models consist of 512, 256, "
        "512 hidden units respectively, and the latent variable dimension is 20.",
        "For RAVDESS, we use a dropout probability of 0.3 for recognition and generation hidden "
        "layers, and 0.1 for classification layer",
    ),
)
_VRNN_IEMOCAP = (
    *_vrnn_sizes(
        (64, 64, 64),
        10,
        (0.8, 0.8, 0.8),
        (
            "For IEMOCAP, the three models consist of 64 hidden units each, and the latent "
            "variable dimension is 10.",
            "For IEMOCAP, we use 0.8 for all three layers.",
        ),
    ),
    Setting(
        "batch.drop_shorter_s", 2.0, "3.2", "We ignore windows of duration less than 2 seconds."
    ),
)

_CNN_TRAINING = (
    Setting(
        "spec",
        "spectrogram400",
        "2.1",
        "a DFT of length 1600 ... a frequency range of 0 to 4 kHz ... a 400x200 matrix",
    ),
    Setting("epochs", 50, "3.1", "The CNNs are trained over 50 epochs."),
    Setting(
        "select",
        "last",
        "3.1",
        "In each training process, 9 speakers are used as training data and the remaining one is "
        "used for testing data.",
    ),
    Setting("normalizer", "none", "2.1", "we first linearly transform it to a range of [-1, 1]"),
    Setting("model.options.input_scaling", "mu_law", "2.1, Eq. 1", "apply a mu-law expansion"),
    Setting("batch.size", 64, "3.1", "with a mini-batch size of 64"),
    Setting("batch.segment_frames", 197, "2.1", "we segment it into 2 s segments for training"),
    Setting("batch.segment_hop", 100, "2.1", "use an overlap of 1 s"),
    Setting("batch.test_hop", 40, "2.1", "For test utterances, the overlap is set to 1.6 s"),
    Setting("optimizer.name", "sgd", "3.1", "standard Stochastic Gradient Descent (SGD)"),
    Setting("optimizer.momentum", 0.9, "3.1", "We use a Nesterov momentum of 0.9"),
    Setting("optimizer.weight_decay", 1e-4, "3.1", "and a weight decay of 0.0001"),
    Setting("optimizer.learning_rate", 0.05, "3.1", "The initial learning rate is 0.05"),
    Setting("optimizer.schedule", "steps", "3.1", "reducing by a factor of 10"),
    Setting("optimizer.decay", 0.1, "3.1", "reducing by a factor of 10"),
    Setting("optimizer.milestones", [21, 31, 41], "3.1", "at the 21, 31 and 41 epochs"),
)

_FCN_TRAINING = (
    Setting(
        "spec",
        "spectrogram200",
        "III-A",
        "overlapping Hamming windows ... window shift set to 10 msec, and window size set to 40 "
        "msec ... a discrete Fourier transform (DFT) of length 800 ... the 200-dimensional "
        "low-frequency part",
    ),
    Setting("select", "validation", "III-A", "one actor for validation"),
)

_AUTOENCODER = (
    Setting(
        "spec",
        "logmel40-deltas",
        "III-A",
        "log energy coefficients distributed on a Mel scale, along with their first and second "
        "temporal derivatives",
    ),
    Setting(
        "normalizer", "standard", "III-A", "each vector dimension has a zero mean and unit variance"
    ),
    Setting("model.name", "sparse_autoencoder", "III", "Sparse autoencoder with attention"),
    Setting(
        "objective.unlabelled_weight",
        1.0,
        "III-C",
        "we describe all the unlabeled data as one pseudo-class",
    ),
)

PAPERS: dict[str, tuple[Setting, ...]] = {
    "moma": _MOMA,
    "predictive_vrnn": (*_VRNN, *_VRNN_RAVDESS),
    "predictive_vrnn-iemocap": (*_VRNN, *_VRNN_IEMOCAP),
    "attention_cnn": (
        *_CNN_TRAINING,
        Setting("model.name", "attention_cnn", "2.4", "Attention pooling method"),
        Setting(
            "model.options.head", "attention", "2.4.2", "we introduce an attention pooling layer"
        ),
    ),
    "filter_study": (
        *_CNN_TRAINING,
        Setting(
            "model.name",
            "filter_study",
            "3.2",
            "the first convolutional layer is tested independently",
        ),
        Setting("model.options.height", 10, "3.2", "the best filter shapes of 10x2 and 2x8"),
        Setting("model.options.width", 2, "3.2", "the best filter shapes of 10x2 and 2x8"),
    ),
    "alexnet_fcn": (
        *_FCN_TRAINING,
        Setting(
            "model.name",
            "alexnet_fcn",
            "II-A",
            "we turn the AlexNet into a fully convolutional network",
        ),
        Setting(
            "model.options.plan", "bvlc", "II-A, Fig. 3", "The AlexNet based FCN configurations."
        ),
        Setting(
            "model.options.normalization",
            "lrn",
            "II-A",
            "the first two convolution layers are equipped with a local response normalization "
            "layer",
        ),
        Setting(
            "model.options.input_channels", 3, "III-C", "pre-trained networks based on ImageNet"
        ),
        Setting("model.options.attention_lambda", 0.3, "II-B", "lambda = 0.3 is used"),
        Setting("model.weights", None, "III-C", "we initialize FCN by ... pre-trained parameters"),
    ),
    "alexnet_fixed": (
        *_FCN_TRAINING,
        Setting("model.name", "alexnet_fixed", "III-C", "we directly adapt AlexNet"),
        Setting("model.weights", None, "III-C", "networks with random initialization and ..."),
    ),
    "vgg16_fixed": (
        *_FCN_TRAINING,
        Setting("model.name", "vgg16_fixed", "III-C", "we directly adapt ... VGGNet-16"),
    ),
    "sparse_autoencoder": (
        *_AUTOENCODER,
        Setting(
            "unlabelled.use",
            True,
            "Abstract",
            "The aim is to benefit from labeled and unlabeled data with autoencoder",
        ),
    ),
    "sparse_autoencoder-labelled": (
        *_AUTOENCODER,
        Setting(
            "unlabelled.use",
            False,
            "none",
            "the twin without the unlabelled data is this project's",
        ),
    ),
}

# Keys that change training, and their values when they do nothing. A recipe of a paper says each of
# them, and says another value only where the paper names it: "open in the paper" is no reason.
# Learning rates have no neutral value. Where a paper names none, the recipe marks them as open, as
# it does the second, lower rate of layers that are meant to start from ImageNet.
NEUTRAL: dict[str, Any] = {
    "batch.class_weights": False,
    "optimizer.weight_decay": 0.0,
    "optimizer.schedule": "constant",
    "optimizer.warmup_epochs": 0.0,
    "optimizer.clip_norm": 0.0,
    "optimizer.label_smoothing": 0.0,
    "optimizer.ema": 0.0,
}
# The same, but for keys that a recipe need not say: their defaults are neutral.
SILENT: dict[str, Any] = {
    "precision": "float32",
    "batch.drop_shorter_s": 0.0,
    "optimizer.momentum": 0.0,
    "optimizer.rho": 0.9,
    "optimizer.epsilon": 1e-7,
    **{
        f"augment.{key}": 0
        for key in (
            *("freq_masks", "freq_mask_bins", "time_masks", "time_mask_frames"),
            *("noise", "gain", "stretch", "warp", "mixup"),
        )
    },
}
