"""How a network is brought under its budget: all layers alike, at a common price of a number, or step by step."""

from collections.abc import Mapping
from math import sqrt

from tnsim.tensorize.allocation import Sizes, cheapest_steps, lagrange
from tnsim.tensorize.nn.ladder import Ladder
from tnsim.tensorize.nn.trial import Choice, Trial

# of the largest change of the loss by a single layer: below it measured changes are taken for noise
_NOISE = 1e-3


def screen(trial: Trial, ratio: float, known: Mapping[str, tuple[float, float]] | None = None) -> dict[str, float]:
    """The change of the loss by every layer alone, at about this ratio. One evaluation a layer.

    known: (change, relative error of the outputs) of layers measured before, at any ratio: with the squared error.
    """
    changes = {}
    for name, ladder in trial.ladders.items():
        rung, (change, error) = ladder.rung(_probe(ladder, ratio)), (known or {}).get(name, (0.0, 0.0))
        if rung is None:
            changes[name] = 0.0
        elif error > 0:
            changes[name] = change * (rung.error / error) ** 2
        else:
            changes[name] = trial.loss({name: rung}) - trial.dense_loss
    return changes


def _probe(ladder: Ladder, ratio: float) -> int:
    below = [n for n, r in enumerate(ladder.ratios, 1) if r <= ratio]
    return below[-1] if below else min(1, ladder.count - 1)


def predicted_sizes(trial: Trial, changes: Mapping[str, float] | None, ratio: float) -> list[Sizes]:
    """(numbers, predicted change of the loss) of all sizes of all layers.

    The change grows with the squared error of the outputs; how fast, each layer's own change tells. Relative errors
    are no measure between layers of different kinds. Without a measured change the relative squared error stands.
    """
    most = max(changes.values(), default=0.0) if changes else 0.0
    layers: list[Sizes] = []
    for name, ladder in trial.ladders.items():
        if changes is None or most <= 0:
            first = ladder.rung(1) if ladder.count > 1 else None
            slope = 0.0 if first is None or first.squared <= 0 else first.error**2 / first.squared
        else:
            error = ladder.squared(_probe(ladder, ratio))
            slope = max(changes[name], _NOISE * most) / max(error, 1e-300)
        # much smaller than the budget asks on average is seldom right, and every size is a fit
        rungs = [n for n in range(ladder.count) if n == 0 or ladder.ratios[n - 1] <= max(6 * ratio, ladder.ratios[0])]
        layers.append([(ladder.numbers(n), slope * ladder.squared(n)) for n in rungs])
    return layers


def uniform(trial: Trial, budget: int, ratio: float, tries: int) -> None:
    """Every layer at the same ratio; where that crosses the line, at the largest ratio found that does not."""

    def choice(common: float) -> Choice:
        return {name: ladder.nearest(common) for name, ladder in trial.ladders.items()}

    wanted = ratio
    while trial.numbers(choice(wanted)) > budget:
        wanted *= 1.05
    low, high = 1.0, wanted
    if trial.attempt(f"all layers at {wanted:.3g}x", choice(wanted)):
        return
    for _ in range(tries):
        middle = sqrt(low * high)
        accepted = trial.attempt(f"all layers at {middle:.3g}x", choice(middle))
        low, high = (middle, high) if accepted else (low, middle)


def by_price(trial: Trial, layers: list[Sizes], budget: int, tries: int) -> None:
    """At the common price that meets the budget; where that crosses the line, at the largest saving that does not."""
    names = list(trial.ladders)
    dense = trial.numbers({})

    def attempt(numbers: int) -> bool:
        chosen = lagrange(layers, numbers)
        choice = {name: trial.ladders[name].rung(n) for name, n in zip(names, chosen, strict=True)}
        return trial.attempt(f"a common price for {numbers} numbers", choice)

    if attempt(budget):
        return
    low, high = budget, dense
    for _ in range(tries):
        middle = int(sqrt(low * high))
        low, high = (low, middle) if attempt(middle) else (middle, high)


def step_by_step(trial: Trial, layers: list[Sizes], budget: int, tries: int) -> None:
    """The most compressible layer first, one size at a time, measured as a whole after every step.

    A step that crosses the line is taken back; the ranks between are tried, and the layer stays at the smallest that
    passes. Ends at the budget, or where no layer can go on.
    """
    names = list(trial.ladders)
    chosen, open_ = [0] * len(names), [True] * len(names)
    while trial.numbers(trial.best) > budget:
        step = next(cheapest_steps(layers, chosen, open_), None)
        if step is None:
            return
        k, n = step
        ladder = trial.ladders[names[k]]
        if trial.attempt(f"{names[k]} at {ladder.ratios[n - 1]:.3g}x", {**trial.best, names[k]: ladder.rung(n)}):
            chosen[k] = n
        else:
            open_[k] = False
            _boundary(trial, ladder, n, tries)


def _boundary(trial: Trial, ladder: Ladder, n: int, tries: int) -> None:
    """Sizes between the last one that passed and rung n, which did not, each only once."""
    low, high = (ladder.ratios[n - 2] if n > 1 else 1.0), ladder.ratios[n - 1]
    tried = {ladder.numbers(n - 1), ladder.numbers(n)}
    for _ in range(tries):
        middle = sqrt(low * high)
        rung = ladder.at_ratio(middle)
        if rung is None or rung.numbers in tried:
            return
        tried.add(rung.numbers)
        accepted = trial.attempt(f"{ladder.name} at {middle:.3g}x", {**trial.best, ladder.name: rung})
        low, high = (middle, high) if accepted else (low, middle)
