import itertools

from pipeline.cli.diagram import lay_out


def test_items_of_a_layer_do_not_overlap_and_edges_pass_between_nodes():
    nodes = list("abcdefg")
    edges = [("a", end) for end in "bcdg"] + [("b", "e"), ("c", "e"), ("e", "f"), ("f", "g")]
    points, paths = lay_out(nodes, edges)
    layers = [[x for x, y in points.values() if y == layer] for layer in range(5)]
    for layer in layers:
        assert all(abs(a - b) > 1 for a, b in itertools.combinations(layer, 2))
    assert [y for _, y in paths["a", "g"]] == [0, 1, 2, 3, 4]
    for x, y in paths["a", "g"][1:-1]:
        assert all(abs(x - node_x) > 0.6 for node_x in layers[int(y)])
