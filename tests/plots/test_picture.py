"""Pictures are written whole, and the same every time."""

import pytest

from ser_keras.plots.picture import open_figure, save_figure


def drawn(path):
    figure = open_figure(path, (4, 3))
    for axes in figure.subplots(2, 1, height_ratios=(1, 3)):
        mesh = axes.pcolormesh([[1, 2], [3, 4]])
        axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
        figure.colorbar(mesh, ax=axes, label="level (dB)", pad=0.01)
    figure.suptitle("a picture")
    save_figure(figure, path)
    return figure


@pytest.mark.parametrize("kind", [".png", ".svg"])
def test_axes_lie_at_places_without_the_noise_of_the_solver(tmp_path, kind):
    figure = drawn(tmp_path / f"a{kind}")
    assert len(figure.axes) == 4
    for axes in figure.axes:
        bounds = axes.get_position(original=True).bounds
        assert bounds == pytest.approx([round(value, 6) for value in bounds], rel=0, abs=1e-15)


def test_a_second_layout_finds_room_for_the_same_texts(tmp_path):
    figure = drawn(tmp_path / "a.png")
    before = [axes.get_position().bounds for axes in figure.axes]
    save_figure(figure, tmp_path / "b.png")
    after = [axes.get_position().bounds for axes in figure.axes]
    for first, second in zip(before, after, strict=True):
        assert first == pytest.approx(second, abs=0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
