"""Matrix factorisation: a rating is the mean plus user factors times item factors. It knows no parties.

Minimises ½ Σ (mean + p·q - rating)² + ½ λ (Σ |p|² + Σ |q|²): the best user factors for given item factors, then a step of
the item factors that cannot overshoot, and so on. It never grows.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.recommender.ratings import Ratings


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over ratings: of squared errors, of squared user factors (over users), and for each item of gradient and slope.

    `steepest` is Σ |p|² over the users of an item: no direction of the gradient grows faster.
    """

    squared: float
    users: float
    gradient: Reals
    steepest: Reals

    def flat(self) -> Reals:
        """All numbers in a row."""
        return np.concatenate([[self.squared, self.users], self.gradient.ravel(), self.steepest])

    @classmethod
    def unflatten(cls, numbers: Reals, *, items: int) -> Self:
        """The sums of which `numbers` is the flat form, for so many items."""
        gradient, steepest = np.split(numbers[2:], [len(numbers) - 2 - items])
        squared, users = numbers[:2].tolist()
        return cls(squared=squared, users=users, gradient=gradient.reshape(items, -1), steepest=steepest)


def flat_size(items: int, *, factors: int) -> int:
    """How many numbers the sums have."""
    return 2 + items * (factors + 1)


def initial(items: int, *, factors: int, seed: int) -> Reals:
    """The item factors before the first step, a row per item; the same seed gives the same."""
    return np.random.default_rng(seed).normal(0, 1 / np.sqrt(factors), (items, factors))


def sums_at(item_factors: Reals, ratings: Ratings, *, mean: float, penalty: float) -> Sums:
    """The sums over these ratings, with the best user factors for these item factors."""
    distances = ratings.values - mean
    user_factors = _best_users(item_factors, ratings, distances=distances, penalty=penalty)
    users, items = user_factors[ratings.users], item_factors[ratings.items]
    errors = (users * items).sum(axis=1) - distances
    gradient = np.zeros_like(item_factors)
    np.add.at(gradient, ratings.items, errors[:, np.newaxis] * users)
    steepest = np.zeros(len(item_factors))
    np.add.at(steepest, ratings.items, (users**2).sum(axis=1))
    return Sums(
        squared=float(errors @ errors), users=float((user_factors**2).sum()), gradient=gradient, steepest=steepest
    )


def _best_users(item_factors: Reals, ratings: Ratings, *, distances: Reals, penalty: float) -> Reals:
    """For each user the factors with the smallest penalised squared error."""
    ends = np.cumsum(np.bincount(ratings.users))
    ridge = penalty * np.eye(item_factors.shape[1])
    best = np.empty((len(ends), item_factors.shape[1]))
    for user, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rated = item_factors[ratings.items[start:end]]
        best[user] = np.linalg.solve(rated.T @ rated + ridge, rated.T @ distances[start:end])
    return best


def stepped(item_factors: Reals, sums: Sums, *, penalty: float) -> Reals:
    """The item factors after one step."""
    return np.asarray(
        item_factors - (sums.gradient + penalty * item_factors) / (sums.steepest + penalty)[:, np.newaxis]
    )
