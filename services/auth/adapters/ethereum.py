"""EIP-191 signatures by eth-account, in a thread beside the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


class EthereumRecovery:
    """Implements `SignerRecovery`: milliseconds of pure Python each, one after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="secp256k1")

    async def signer(self, text: str, signature: bytes) -> str | None:
        return await asyncio.get_running_loop().run_in_executor(self._thread, recover, text, signature)


def recover(text: str, signature: bytes) -> str | None:
    """The address whose key signed a text by `personal_sign`; None when it is no signature."""
    # 30 MB and a second that a fleet without wallets never pays.
    from eth_account import Account  # noqa: PLC0415
    from eth_account.messages import encode_defunct  # noqa: PLC0415
    from eth_keys.exceptions import BadSignature  # noqa: PLC0415
    from eth_utils.exceptions import ValidationError  # noqa: PLC0415

    try:
        return str(Account.recover_message(encode_defunct(text=text), signature=signature))
    except (BadSignature, ValidationError):
        return None
