"""The sections of a training run's settings, with every key, its default and its values."""

import hashlib
import json
from dataclasses import asdict, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator
from pydantic.dataclasses import dataclass

from ser_keras.settings import KNOWN_KEYS_ONLY, Number, NumberOrText

Rate = Annotated[Number, Field(gt=0)]
Count = Annotated[StrictInt, Field(ge=1)]


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class ModelConfig:
    """Which model, with which options of its function in `ser_keras.models`.

    Args:
        name: str. A name in `ser_keras.models.MODELS`.
        options: mapping. Keyword arguments of that model.
        weights: str or None. A file of pretrained backbone weights; None starts from random ones.
    """

    name: StrictStr = "alexnet_fcn"
    options: dict[str, Any] = field(default_factory=dict)
    weights: StrictStr | None = None


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class BatchConfig:
    """How utterances become batches.

    Args:
        size: int. Utterances per batch.
        bucket_frames: int. Batches hold utterances of similar lengths; on backends that compile
            once per shape they are padded to a multiple of this many frames.
        class_weights: bool. Weight each utterance by the inverse share of its class in the fold.
        cache_gb: float. Keep the fold in memory up to this size; larger folds are read each epoch.
        segment_frames: int. Cut utterances into segments of so many frames; an utterance's
            probabilities are then the mean over its segments. 0 keeps utterances whole.
        segment_hop: int. Frames between the starts of two training segments.
        test_hop: int. The same in validation and test.
        drop_shorter_s: float. Leave out recordings shorter than this, in training and test; the
            result says how many. 0 keeps all.
    """

    size: Count = 16
    bucket_frames: StrictInt = 40
    class_weights: StrictBool = False
    cache_gb: Number = 4.0
    segment_frames: StrictInt = 0
    segment_hop: StrictInt = 0
    test_hop: StrictInt = 0
    drop_shorter_s: Number = 0.0

    @model_validator(mode="after")
    def _check_hops(self) -> Self:
        if not self.segment_frames:
            return self
        for name in ("segment_hop", "test_hop"):
            hop = getattr(self, name)
            if hop < 1:
                raise ValueError(f"{name} is {hop}, expected at least 1 with segment_frames.")
            if hop > self.segment_frames:
                raise ValueError(
                    f"{name} is {hop}, more than segment_frames ({self.segment_frames}): frames "
                    "between two segments would be left out. Choose a shorter hop."
                )
        return self


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class UnlabelledConfig:
    """Which training utterances keep their labels, and what becomes of the others.

    Args:
        label_fraction: float. Share of the training utterances of each class that keep their
            labels, drawn with the run's seed.
        use: bool. Train on the others as unlabelled utterances; else they are left out.
        size: int. Unlabelled utterances per batch, beside the labelled ones; 0 is as many.
    """

    label_fraction: Annotated[Number, Field(gt=0, le=1)] = 1.0
    use: StrictBool = True
    size: StrictInt = 0


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class AugmentConfig:
    """What is done to training utterances alone, afresh in every epoch. Zeros switch a part off.

    Args:
        freq_masks: int. Number of frequency masks (SpecAugment).
        freq_mask_bins: int. Largest width of one, in feature bins.
        time_masks: int. Number of time masks (SpecAugment).
        time_mask_frames: int. Largest width of one, in frames.
        noise: float. Deviation of added Gaussian noise, in deviations of each bin.
        gain: float. Deviation of a shift of the whole utterance, in deviations of each bin. On
            logarithmic features this is another recording level.
        stretch: float. Largest relative change of tempo, by interpolation between frames.
        warp: float. Largest relative change of the frequency scale, as of a vocal tract's length.
        mixup: float. Parameter of the Beta(a, a) distribution that mixes pairs within a batch.
    """

    freq_masks: StrictInt = 0
    freq_mask_bins: StrictInt = 0
    time_masks: StrictInt = 0
    time_mask_frames: StrictInt = 0
    noise: Number = 0.0
    gain: Number = 0.0
    stretch: Number = 0.0
    warp: Number = 0.0
    mixup: Number = 0.0


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class AdaptationConfig:
    """How a model with `normalizer: speaker` is trained for its two tracks.

    A batch is blind, normalised by the training part as a whole, or adapted, normalised by the
    speakers' own recordings.

    Args:
        blind_share: float. Share of the batches that are blind. With 1 the model is made for the
            blind track alone, with 0 for the adapted one alone.
        speakers: int. Speakers in an adapted batch, with equally many utterances of each.
        random_enrolment: bool. Statistics in training come from a random number of the speaker's
            utterances, a new one in every epoch; else from all of them.
        joint_share: float. Share of the batches that come from the joint sets, which are other
            corpora with their labels. The batches of the fold's own set stay as many.
        least_s: float. A test speaker with less speech than this gets the blind answer: 5 s of one
            emotion tell more of the emotion than of the voice.
    """

    blind_share: Annotated[Number, Field(ge=0, le=1)] = 0.5
    speakers: Annotated[StrictInt, Field(ge=2)] = 4
    random_enrolment: StrictBool = False
    least_s: Number = 10.0
    joint_share: Annotated[Number, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class OptimizerConfig:
    """The optimizer and its schedule. Every default is neutral: a recipe names what it changes.

    Args:
        name: str. `"adamw"`, `"adam"`, `"rmsprop"` or `"sgd"` (Nesterov).
        learning_rate: float. Peak rate of the layers outside the backbone.
        backbone_learning_rate: float or None. Peak rate of the convolutional backbone, where that
            is another; for `"adamw"` alone.
        weight_decay: float. For `"adamw"` decoupled: each step takes this share times the rate of
            its group off every weight; biases and normalisation are exempt. For `"sgd"` coupled, as
            in PyTorch: this share of every variable is added to its gradient.
        momentum: float. Of `"sgd"`.
        rho: float. Share of the old mean square that `"rmsprop"` keeps at each step.
        epsilon: float. What `"adamw"`, `"adam"` and `"rmsprop"` add to keep the divisor positive;
            `"rmsprop"` adds it under the root.
        schedule: str. `"constant"`, `"cosine"` (to zero at the last epoch), `"steps"` (times
            `decay` at each of `milestones`) or `"plateau"` (PyTorch's ReduceLROnPlateau: times
            `decay` where the loss on the validation part, or the training loss without one, has not
            fallen by a ten-thousandth for more than `plateau_patience` epochs).
        milestones: list of int. Epochs, from 1, that begin with a smaller rate.
        decay: float. Factor on the rate.
        plateau_patience: int. Epochs without a lower loss that leave the rate as it is.
        warmup_epochs: float. Linear warm-up before the cosine.
        clip_norm: float. Largest global norm of a gradient; 0 switches clipping off.
        label_smoothing: float. Share of the target spread over all classes.
        ema: float. Momentum of a moving average of the weights, over steps; validation and test
            use the average. 0 switches it off.
    """

    name: Literal["adamw", "adam", "rmsprop", "sgd"] = "adam"
    learning_rate: Rate = 1e-3
    backbone_learning_rate: Rate | None = None
    weight_decay: Number = 0.0
    momentum: Number = 0.0
    rho: Number = 0.9
    epsilon: Number = 1e-7
    schedule: Literal["cosine", "constant", "steps", "plateau"] = "constant"
    milestones: list[StrictInt] = field(default_factory=list)
    decay: Number = 0.1
    plateau_patience: StrictInt = 4
    warmup_epochs: Number = 0.0
    clip_norm: Number = 0.0
    label_smoothing: Number = 0.0
    ema: Number = 0.0


@dataclass(frozen=True, config=KNOWN_KEYS_ONLY)
class TrainConfig:
    """A whole training run.

    Args:
        spec: str. Name of the feature spec the recipe was made for.
        settings: str. `"paper"` where model and training are the paper's own, `"ours"` where they
            were changed for small corpora; results say which.
        epochs: int. Number of epochs, or the most there may be with early stopping.
        select: str. `"validation"` keeps the epoch with the best validation UA; `"last"` trains on
            the training and validation parts for exactly `epochs` epochs.
        patience: int. Epochs without a better validation UA before training stops.
        seed: int. Seed of everything random; each fold derives its own.
        precision: str. `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        normalizer: str. `"unit"`, `"standard"` or `"none"`, see `FeatureStatistics.affine`; or
            `"speaker"` for the track where a speaker's own unlabelled recordings are known.
        objective: mapping. Options of what the model is trained for, see
            `ser_keras.models.objective_of`.
        jit_compile: bool. Compile the training step with XLA: quicker for recurrent models, slower
            for convolutions on CPUs.
        model, batch, unlabelled, adaptation, augment, optimizer: the sections.
    """

    spec: StrictStr = "spectrogram200"
    settings: Literal["paper", "ours"] = "ours"
    epochs: Count = 60
    select: Literal["validation", "last"] = "validation"
    patience: StrictInt = 15
    seed: StrictInt = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    normalizer: Literal["unit", "standard", "none", "speaker"] = "standard"
    jit_compile: StrictBool = False
    objective: dict[str, NumberOrText] = field(default_factory=dict)
    model: ModelConfig = field(default_factory=ModelConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    unlabelled: UnlabelledConfig = field(default_factory=UnlabelledConfig)
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as YAML and JSON write them.

        Without `normalizer: speaker` there is no section `adaptation`, which then says nothing.
        """
        values = asdict(self)
        if self.normalizer != "speaker":
            del values["adaptation"]
        return values

    @property
    def track(self) -> str:
        """What the model knows of a test speaker: `"blind"` nothing, `"adapted"` recordings."""
        return self.tracks[0]

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks that the model is made for, its own first."""
        if self.normalizer != "speaker" or self.adaptation.blind_share == 1:
            return ("blind",)
        return ("adapted", "blind") if self.adaptation.blind_share else ("adapted",)

    @property
    def sha256(self) -> str:
        """Hash of the resolved configuration; two runs with one hash ask for the same training."""
        asked = {key: value for key, value in self.to_dict().items() if key != "settings"}
        text = json.dumps(asked, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
