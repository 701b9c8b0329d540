"""Carrying out a plan: the loop, optimisers, checkpoints, and the probes that a plan is fixed by.

steps(plan, data, learner)      the loop: yields each step taken
train(plan, data, val, folder)  the loop with all that stands around it
evaluate_net(net, images)       logits of a net, nothing random
find_learning_rate, largest_batch, fastest, seconds_per_step: measured, for a plan
"""

from tomos.train.batches import Data, Source
from tomos.train.learner import Learner, new
from tomos.train.logs import Epoch
from tomos.train.loop import Step, steps
from tomos.train.network import TorchNetwork
from tomos.train.probe import fastest, find_learning_rate, largest_batch, seconds_per_step
from tomos.train.run import Trained, train
from tomos.train.validate import evaluate_net, judge

__all__ = [
    "Data",
    "Epoch",
    "Learner",
    "Source",
    "Step",
    "TorchNetwork",
    "Trained",
    "evaluate_net",
    "fastest",
    "find_learning_rate",
    "judge",
    "largest_batch",
    "new",
    "seconds_per_step",
    "steps",
    "train",
]
