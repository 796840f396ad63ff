from ser_keras.data.seeds import mixed_seed


def test_seeds_of_neighbouring_epochs_are_unrelated():
    seeds = [mixed_seed(0, "epoch", number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert max(seeds) < 2**31
