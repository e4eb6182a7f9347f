from pydantic import SecretStr

from bongsu.alerts.channels import CHANNELS
from bongsu.server.alerts.channel_fields import FieldKind, channel_types


def test_every_setting_of_every_type_has_a_field() -> None:
    listed = {channel.type: [field.name for field in channel.fields] for channel in channel_types()}
    assert listed == {name: list(channel.Config.model_fields) for name, channel in CHANNELS.items()}


def test_secrets_are_marked_and_have_no_default() -> None:
    for channel in channel_types():
        config = CHANNELS[channel.type].Config
        for field in channel.fields:
            is_secret = config.model_fields[field.name].annotation is SecretStr
            assert (field.kind is FieldKind.SECRET) == is_secret
            assert not (is_secret and field.default)


def test_the_form_for_email() -> None:
    (email,) = (channel for channel in channel_types() if channel.type == "email")
    fields = {field.name: field for field in email.fields}
    assert {name: field.kind.value for name, field in fields.items()} == {
        "host": "text",
        "port": "number",
        "security": "choice",
        "verify": "flag",
        "username": "text",
        "password": "secret",
        "sender": "text",
        "to": "list",
    }
    assert [name for name, field in fields.items() if field.required] == ["host", "sender", "to"]
    port = fields["port"]
    assert (port.default, port.minimum, port.maximum) == (587, 1, 65535)
    assert fields["security"].choices == ["starttls", "tls", "none"]
    assert "certificate" in fields["verify"].description
