"""What is stored and published of queries beyond their answers."""

from __future__ import annotations

from agent.config.yaml_file import Section


class PrivacySettings(Section):
    """Switches; each is on by default, and `docs/privacy.md` says what it stores.

    Attributes:
        keep_replies: a short reply is stored for an hour after its delivery, to answer a repeated query.
        keep_set_aside: what the agent sets aside is stored with its content, images included.
        remember_looks: hashes of pictures and wordings are stored with what was learned from them.
        keep_decisions: the newest decision records are stored, without any text of a question or an answer.
        publish_texts: the public decision records have the texts of the answers.
    """

    keep_replies: bool = True
    keep_set_aside: bool = True
    remember_looks: bool = True
    keep_decisions: bool = True
    publish_texts: bool = True
