"""The channels, one file each. A new channel is added to CHANNELS and to docs/alerts.md."""

from bongsu.alerts.channels.apprise import AppriseChannel
from bongsu.alerts.channels.base import Channel, ChannelConfig, ChannelError
from bongsu.alerts.channels.discord import DiscordChannel
from bongsu.alerts.channels.email import EmailChannel
from bongsu.alerts.channels.slack import SlackChannel
from bongsu.alerts.channels.sms import SmsChannel
from bongsu.alerts.channels.webhook import WebhookChannel

CHANNELS: dict[str, type[Channel]] = {
    channel.type: channel
    for channel in (EmailChannel, SlackChannel, DiscordChannel, SmsChannel, WebhookChannel, AppriseChannel)
}

__all__ = ["CHANNELS", "Channel", "ChannelConfig", "ChannelError"]
