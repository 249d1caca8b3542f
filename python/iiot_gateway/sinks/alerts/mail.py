"""Notifies people by e-mail: one mail per notification, with the notification's id as its Message-ID."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate

from iiot_gateway.log import ALERT_NOT_SENT, get_log
from iiot_gateway.sinks.alerts.mail_section import MailSection
from iiot_gateway.sinks.alerts.receiver import Failed, Notification, own_name

SUBJECT = 200


class Mail:
    """One mail server, and the addresses that are notified."""

    def __init__(self, section: MailSection) -> None:
        self._section = section
        self._session: smtplib.SMTP | None = None
        self._is_cancelled = False

    def send(self, notification: Notification) -> Failed | None:
        """Send the mail. This succeeds if the server accepts the mail for at least one address; refused addresses are logged."""
        try:
            with self._connect() as session:
                self._session = session
                if self._is_cancelled:
                    return Failed("cancelled")
                self._greet(session)
                refused = session.send_message(self.message(notification))
        except (smtplib.SMTPException, OSError) as error:
            return Failed(_told(error))
        finally:
            self._session = None
        if refused:
            # The other addresses have the mail; another attempt would send it to them twice.
            get_log().error(
                ALERT_NOT_SENT, host=self._section.host, error=f"the server refused {_refused(refused)}; the others have the mail"
            )
        return None

    def cancel(self) -> None:
        """Break off the session under way."""
        self._is_cancelled = True
        session = self._session
        if session is not None and session.sock is not None:
            with suppress(OSError):
                session.sock.shutdown(2)

    def message(self, notification: Notification) -> EmailMessage:
        """Return the mail for a notification."""
        section = self._section
        message = EmailMessage()
        message["From"] = section.sender
        message["To"] = ", ".join(section.to)
        message["Subject"] = " ".join(notification.title().split())[:SUBJECT]
        message["Date"] = formatdate(localtime=False)
        # The id is the same at each attempt, so mail programs show repeated mails as one.
        message["Message-ID"] = f"<{notification.id}@iiot-gateway.invalid>"
        message["X-Iiot-Notification"] = notification.id
        message["Auto-Submitted"] = "auto-generated"
        lines = [*notification.lines(), "", f"Rule {notification.rule}, severity {notification.severity}."]
        message.set_content("\n".join([*lines, f"Gateway {own_name()}, notification {notification.id}."]) + "\n")
        return message

    def try_out(self) -> Failed | None:
        """Connect and log in, but send nothing."""
        try:
            with self._connect() as session:
                self._greet(session)
        except (smtplib.SMTPException, OSError) as error:
            return Failed(_told(error))
        return None

    def _connect(self) -> smtplib.SMTP:
        section = self._section
        if section.tls == "tls":
            return smtplib.SMTP_SSL(section.host, section.port, timeout=section.timeout_s, context=self._context())
        return smtplib.SMTP(section.host, section.port, timeout=section.timeout_s)

    def _greet(self, session: smtplib.SMTP) -> None:
        section = self._section
        if section.tls == "starttls":
            session.starttls(context=self._context())
        if section.username:
            session.login(section.username, section.password.reveal())

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._section.ca_file or None)


def _told(error: Exception) -> str:
    """Return a description of the error. A server's answer may be bytes."""
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"the server answered {error.smtp_code}: {words}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"the server refused every address: {_refused(error.recipients)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or repr(error)


def _refused(addresses: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{address} ({code} {text.decode('utf-8', 'replace')})" for address, (code, text) in addresses.items())
