"""Networks side by side: each is what it is alone."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._pytree import tree_flatten

from synthaug.generators.learning.adversarial_losses import r1_penalty
from synthaug.generators.learning.stacked import Stacked, stack, unstack
from synthaug.generators.networks.coders import (
    ConditionalDecoder,
    ConditionalEncoder,
    ResidualDecoder,
)
from synthaug.generators.networks.discriminators import Discriminator
from synthaug.generators.networks.layers import SelfAttention

SHAPE, CLASSES, LATENT, WIDTH = (1, 9, 12), 3, 5, 4
COUNT, EACH = 3, 4


def judge(**options):
    return lambda: Discriminator(SHAPE, CLASSES, WIDTH, attention=True, codes=2, **options)


NETWORKS = {
    "encoder": lambda: ConditionalEncoder(SHAPE, CLASSES, LATENT, WIDTH),
    "decoder": lambda: ConditionalDecoder(SHAPE, CLASSES, LATENT, WIDTH, attention=True),
    "residual decoder": lambda: ResidualDecoder(SHAPE, CLASSES, LATENT, WIDTH, attention=True),
    "judge": judge(),
    "residual judge": judge(backbone="residual", conditioning="auxiliary"),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(params=NETWORKS)
def name(request):
    return request.param


def make(name, count=COUNT):
    networks = [NETWORKS[name]() for _ in range(count)]
    for network in networks:
        for module in network.modules():
            if isinstance(module, SelfAttention):
                nn.init.normal_(module.gamma)
    return networks


def inputs(name):
    labels, strength = torch.arange(COUNT * EACH) % CLASSES, torch.rand(COUNT * EACH)
    if "decoder" in name:
        return torch.randn(COUNT * EACH, LATENT), labels, strength
    images = torch.rand(COUNT * EACH, *SHAPE)
    return (images, labels) if name == "encoder" else (images, labels, strength)


def apart(networks, batch):
    """What each network alone makes of its block, put together again."""
    blocks = zip(*(part.split(EACH) for part in batch), strict=True)
    outputs = [
        tree_flatten(network(*block)) for network, block in zip(networks, blocks, strict=True)
    ]
    return [
        torch.cat(parts) for parts in zip(*(flat for flat, _ in outputs), strict=True)
    ], outputs[0][1]


def weighted(parts):
    """A scalar that depends on every number in its own way."""
    torch.manual_seed(1)
    return sum((part * torch.randn(part.shape)).sum() for part in parts)


def close(got, expected):
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=2e-4)


@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_buffers_are_those_of_each_alone(name, training):
    networks, batch = make(name), inputs(name)
    both = Stacked(networks).train(training)
    for network in networks:
        network.train(training)
    for _ in range(2):  # the second call uses what the first one left in the buffers
        parts, structure = tree_flatten(both(*batch))
        expected, own_structure = apart(networks, batch)
        assert structure == own_structure
        close(parts, expected)
        weighted(parts).backward()
        weighted(expected).backward()
    stacked, used = dict(both.named_parameters()), 0
    for index, network in enumerate(networks):
        for key, parameter in network.named_parameters():
            gradient = stacked[key.replace(".", "/")].grad
            if parameter.grad is None:
                assert gradient is None
                continue
            close(gradient[index], parameter.grad)
            used += bool(parameter.grad.any())
    assert used > COUNT * 4
    for index, network in enumerate(networks):
        for key, buffer in network.named_buffers():
            close(both.get_buffer(key.replace(".", "/"))[index], buffer)


def test_training_changes_buffers_and_evaluation_does_not(name):
    both, batch = Stacked(make(name)), inputs(name)
    if name == "encoder":
        assert any("num_batches_tracked" in key for key, _ in both.named_buffers())
    for training in (True, False):
        before = {key: value.clone() for key, value in both.named_buffers()}
        assert before
        both.train(training)(*batch)
        same = [torch.equal(value, before[key]) for key, value in both.named_buffers()]
        assert all(same) is not training


def test_a_network_heeds_no_block_but_its_own(name):
    both, batch = Stacked(make(name)), inputs(name)
    other = [part.clone() for part in batch]
    for part in other:
        part[:EACH] = part[:EACH].flip(0)
    other[0][:EACH] += 0.1
    again = copy.deepcopy(both)
    for first, second in zip(
        tree_flatten(both(*batch))[0], tree_flatten(again(*other))[0], strict=True
    ):
        close(first[EACH:], second[EACH:])
        assert not torch.allclose(first[:EACH], second[:EACH])


def test_a_penalty_on_the_gradient_can_be_learned_from():
    networks, (images, labels, strength) = make("judge"), inputs("judge")
    both = Stacked(networks)
    penalty = r1_penalty(lambda x: both(x, labels, strength)["logits"], images)
    penalty.backward()
    for index, network in enumerate(networks):
        own = slice(index * EACH, (index + 1) * EACH)
        r1_penalty(
            lambda x, n=network, o=own: n(x, labels[o], strength[o])["logits"], images[own]
        ).backward()
        weight = network.features[0].parametrizations.weight.original
        stacked = both.get_parameter("features/0/parametrizations/weight/original")
        close(stacked.grad[index] * COUNT, weight.grad)
        assert weight.grad.any()


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("training", [True, False])
def test_networks_come_out_as_they_went_in(name, training):
    networks = make(name)
    out = unstack(stack(networks).train(training), COUNT)
    assert all(same(a, b) for a, b in zip(networks, out, strict=True))
    assert all(module.training is training for network in out for module in network.modules())
    batch = [part[:EACH] for part in inputs(name)]
    for before, after in zip(networks, out, strict=True):
        before.train(training)
        close(tree_flatten(after(*batch))[0], tree_flatten(before(*batch))[0])
    assert all(parameter.requires_grad for network in out for parameter in network.parameters())


def test_dictionaries_come_out_as_they_went_in():
    networks = [
        nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        for encoder, decoder in zip(make("encoder"), make("decoder"), strict=True)
    ]
    both = stack(networks)
    assert set(both) == {"encoder", "decoder"}
    images, labels = inputs("encoder")
    close(
        both["encoder"](images, labels),
        tuple(apart([n["encoder"] for n in networks], (images, labels))[0]),
    )
    out = unstack(both, COUNT)
    assert all(same(a, b) for a, b in zip(networks, out, strict=True))


def test_what_comes_out_shares_no_memory():
    networks = make("encoder")
    both = stack(networks)
    (first, *_), before = unstack(both, COUNT), copy.deepcopy(both)
    with torch.no_grad():
        for tensor in (*first.parameters(), *first.buffers(), *networks[1].parameters()):
            tensor.add_(1)
    assert same(both, before)


def test_a_copy_is_apart_and_makes_the_same(name):
    both, batch = Stacked(make(name)).eval(), inputs(name)
    other = copy.deepcopy(both)
    close(other(*batch), both(*batch))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    expected = apart(unstack(both, COUNT), batch)[0]
    close(tree_flatten(both(*batch))[0], expected)
    assert not same(both, other)


def test_the_average_of_a_stack_is_the_stack_of_the_averages(name):
    networks, batch = make(name), inputs(name)
    averages = [
        AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.6), use_buffers=True)
        for module in (stack(networks), *networks)
    ]
    for scale in (1.0, 0.9, 1.2):
        with torch.no_grad():
            for network in networks:
                for parameter in network.parameters():
                    parameter.mul_(scale)
                for buffer in network.buffers():
                    buffer.mul_(scale) if buffer.is_floating_point() else buffer.add_(1)
        for average, module in zip(averages, (stack(networks), *networks), strict=True):
            average.update_parameters(module)
    together, *alone = (average.module.eval() for average in averages)
    close(tree_flatten(together(*batch))[0], apart(alone, batch)[0])
    for network, expected in zip(unstack(together, COUNT), alone, strict=True):
        close(network.state_dict(), expected.state_dict())


def test_state_goes_into_a_stack_built_anew(name):
    both, other, batch = Stacked(make(name)).eval(), Stacked(make(name)).eval(), inputs(name)
    assert not same(both, other)
    other.load_state_dict(both.state_dict())
    assert same(both, other)
    close(other(*batch), both(*batch))
    assert all(value.shape[0] == COUNT for value in both.state_dict().values())


def test_one_optimizer_step_is_a_step_of_each():
    networks, batch = make("encoder"), inputs("encoder")
    both = Stacked(networks)
    optimizers = [torch.optim.SGD(module.parameters(), 0.1) for module in (both, *networks)]
    weighted(tree_flatten(both(*batch))[0]).backward()
    weighted(apart(networks, batch)[0]).backward()
    for optimizer in optimizers:
        optimizer.step()
    for network, expected in zip(unstack(both, COUNT), networks, strict=True):
        close(network.state_dict(), expected.state_dict())
