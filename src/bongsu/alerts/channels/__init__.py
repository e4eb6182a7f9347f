"""The channels, one file each, and the one list of them."""

from bongsu.alerts.channels.apprise import AppriseChannel
from bongsu.alerts.channels.base import Channel, ChannelConfig
from bongsu.alerts.channels.discord import DiscordChannel
from bongsu.alerts.channels.email import EmailChannel
from bongsu.alerts.channels.slack import SlackChannel
from bongsu.alerts.channels.sms import SmsChannel
from bongsu.alerts.channels.webhook import WebhookChannel

CHANNELS: dict[str, type[Channel]] = {
    channel.type: channel
    for channel in (EmailChannel, SlackChannel, DiscordChannel, SmsChannel, WebhookChannel, AppriseChannel)
}

__all__ = ["CHANNELS", "Channel", "ChannelConfig"]
