"""A module's `[modules.<id>]` table, validated by the module's own model."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from recyclic.config import Config
from recyclic.config_environment import EnvironmentText
from recyclic.core.module_base import ModuleBase
from recyclic.errors import ConfigError, Problem
from recyclic.nearest import nearest


def module_settings(module_id: str, module_class: type[ModuleBase], config: Config) -> dict[str, Any]:
    """Return the validated table that `startup` gets.

    Raises:
        ConfigError: with every key that does not fit.
    """
    problems = settings_problems(module_id, module_class, config)
    if problems:
        raise ConfigError(problems)
    if module_class.settings is None:
        return {}
    return _validate(module_class.settings, config.module_settings.get(module_id, {})).model_dump()


def settings_problems(module_id: str, module_class: type[ModuleBase], config: Config) -> list[Problem]:
    """Return what is wrong with the module's table; secrets are not repeated."""
    table = config.module_settings.get(module_id, {})
    model = module_class.settings
    where = f"{config.path or 'configuration'}: [modules.{module_id}]"
    if model is None:
        what = f"{module_id} has no settings"
        return [Problem(what, f"{where} {key}", "remove the key") for key in table]
    known = {name: field.alias or name for name, field in model.model_fields.items()}
    words = set(known) | set(known.values())
    problems = []
    if model.model_config.get("extra") != "allow":
        unknown = sorted(table.keys() - words)
        problems += [Problem("unknown key", f"{where} {key}", nearest(key, known.values())) for key in unknown]
        table = {key: value for key, value in table.items() if key in words}
    try:
        _validate(model, table)
    except ValidationError as error:
        for item in error.errors(include_input=False):
            keys = ".".join(str(part) for part in item["loc"]) or "as a whole"
            variable = f"RECYCLIC_MODULES__{module_id}__{keys}".upper().replace(".", "__")
            problems.append(Problem(item["msg"], f"{where} {keys}", f"set it there or in {variable}"))
    return problems


def _validate(model: type[BaseModel], table: dict[str, Any]) -> BaseModel:
    """Validate; a value of the environment that does not fit as text is read as JSON."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        decoded = dict(table)
        for item in error.errors(include_input=False):
            key = item["loc"][0] if item["loc"] else ""
            value = table.get(str(key))
            if isinstance(value, EnvironmentText):
                try:
                    decoded[str(key)] = json.loads(value)
                except ValueError:
                    continue
        if decoded == table:
            raise
        return model.model_validate(decoded)
