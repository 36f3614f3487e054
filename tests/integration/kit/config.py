# SPDX-License-Identifier: MIT
"""Short ways to write a configuration."""


def endpoint(name, url, **more):
    return {'name': name, 'provider': 'openai', 'url': url, **more}


def whole(what, **more):
    """A configuration: given whole, or every model passed through to one simulator, origin or tap (`.v1`)."""
    if isinstance(what, dict):
        return {**what, **more}
    return {'endpoints': [endpoint('up', what.v1)],
            'models': [{'name': '*', 'tiers': [[{'endpoint': 'up'}]]}], **more}


def tiers(*urls, models=None, **more):
    """One model "m" with one endpoint per tier: e1, e2, ... `models` names them there, one for each."""
    names = [f'e{i}' for i in range(1, len(urls) + 1)]
    targets = [{'endpoint': name} for name in names]
    for target, model in zip(targets, models or []):
        target['model'] = model
    return {'endpoints': [endpoint(*e) for e in zip(names, urls)],
            'models': [{'name': 'm', 'tiers': [[t] for t in targets]}], **more}


# What becomes of requests that endpoints fail: each is asked once, always; or as by default.
ONCE = {'retry': {'outage': '0s'}, 'breaker': {'failures': 0}}
PATIENT = {'retry': {'outage': '30s'}, 'breaker': {'failures': 5}}
