"""Windows's accounts and lists of access, by identifiers that are the same in every language.

Only on Windows is there anything here; see `holdfast.guard.permissions` for what POSIX has instead.
"""

import ctypes
import re
import sys
from pathlib import Path

from holdfast.durable.names import long_path

# SYSTEM and the administrators, as the security descriptor language (SDDL) writes them, and two
# that stand for whoever owns the file. LA is the first administrator, whatever its full identifier.
_TRUSTED = frozenset({"SY", "BA", "LA", "OW", "CO"})
_KNOWN = {
    "WD": "everyone",
    "BU": "all users",
    "AU": "all who are logged on",
    "IU": "who is at the machine",
    "BG": "guests",
    "AN": "anonymous",
}
_ALLOWING = re.compile(r"\((?:A|OA|XA);[^;]*;[^;]*;[^;]*;[^;]*;([^;)]+)")


def others_in(descriptor: str, account: str) -> list[str]:
    """Who else than `account` (a SID), the system and administrators may use a file.

    `descriptor` is a list of access in Microsoft's SDDL, as ``D:PAI(A;OICI;FA;;;SY)…``. A file
    without a list is everybody's.
    """
    if "D:NO_ACCESS_CONTROL" in descriptor or not descriptor.startswith("D:"):
        return [_KNOWN["WD"]]
    named = dict.fromkeys(_ALLOWING.findall(descriptor))
    return [_KNOWN.get(each, each) for each in named if each not in _TRUSTED | {account}]


def private_list(account: str, *, is_folder: bool) -> str:
    """The list of access, in SDDL, of what only `account`, the system and administrators may use.

    It takes nothing from the folder above; that of a folder holds for what is made in it.
    """
    heirs = "OICI" if is_folder else ""
    return "D:P" + "".join(f"(A;{heirs};FA;;;{one})" for one in (account, "SY", "BA"))


if sys.platform == "win32":
    from ctypes import wintypes

    _TOKEN_QUERY, _TOKEN_USER = 0x8, 1
    _FILE_OBJECT, _DACL, _PROTECTED = 1, 0x4, 0x8000_0000
    _REVISION = 1
    _SAM_COMPATIBLE = 2

    _advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _secur = ctypes.WinDLL("secur32", use_last_error=True)
    _pointer = ctypes.POINTER(ctypes.c_void_p)
    _kernel.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    _kernel.LocalFree.argtypes = [ctypes.c_void_p]
    _advapi.OpenProcessToken.argtypes = [
        wintypes.HANDLE,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.HANDLE),
    ]
    _advapi.GetTokenInformation.argtypes = [
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    ]
    _advapi.ConvertSidToStringSidW.argtypes = [ctypes.c_void_p, _pointer]
    _advapi.GetNamedSecurityInfoW.argtypes = [
        wintypes.LPCWSTR,
        ctypes.c_int,
        wintypes.DWORD,
        *[ctypes.c_void_p] * 4,
        _pointer,
    ]
    _advapi.SetNamedSecurityInfoW.argtypes = [
        wintypes.LPCWSTR,
        ctypes.c_int,
        wintypes.DWORD,
        *[ctypes.c_void_p] * 4,
    ]
    _advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW.argtypes = [
        ctypes.c_void_p,
        wintypes.DWORD,
        wintypes.DWORD,
        _pointer,
        ctypes.c_void_p,
    ]
    _advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        _pointer,
        ctypes.c_void_p,
    ]
    _advapi.GetSecurityDescriptorDacl.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(wintypes.BOOL),
        _pointer,
        ctypes.POINTER(wintypes.BOOL),
    ]

    def account_name() -> str:
        """Whoever runs this process, as ``DOMAIN\\name``. Raises `OSError`."""
        name = ctypes.create_unicode_buffer(512)
        size = wintypes.ULONG(len(name))
        _check(_secur.GetUserNameExW(_SAM_COMPATIBLE, name, ctypes.byref(size)))
        return name.value

    def account_id() -> str:
        """The security identifier (``S-1-…``) of whoever runs this process. Raises `OSError`."""
        token, size = wintypes.HANDLE(), wintypes.DWORD()
        process = _kernel.GetCurrentProcess()
        _check(_advapi.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)))
        try:
            _advapi.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
            user = ctypes.create_string_buffer(size.value)
            _check(_advapi.GetTokenInformation(token, _TOKEN_USER, user, size, ctypes.byref(size)))
        finally:
            _kernel.CloseHandle(token)
        text = ctypes.c_void_p()
        sid = ctypes.c_void_p.from_buffer(user)  # the first field points to it
        _check(_advapi.ConvertSidToStringSidW(sid, ctypes.byref(text)))
        return _taken(text)

    def list_of_access(path: Path) -> str:
        """Who may use `path`, in SDDL; see `others_in`. Raises `OSError`."""
        descriptor, text = ctypes.c_void_p(), ctypes.c_void_p()
        _check_code(
            _advapi.GetNamedSecurityInfoW(
                str(long_path(path)),
                _FILE_OBJECT,
                _DACL,
                *[None] * 4,
                ctypes.byref(descriptor),
            )
        )
        try:
            _check(
                _advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, _REVISION, _DACL, ctypes.byref(text), None
                )
            )
        finally:
            _kernel.LocalFree(descriptor)
        return _taken(text)

    def set_list_of_access(path: Path, wanted: str) -> None:
        """Give `path` the list of access `wanted`, in SDDL. Raises `OSError`."""
        descriptor, entries = ctypes.c_void_p(), ctypes.c_void_p()
        present, defaulted = wintypes.BOOL(), wintypes.BOOL()
        _check(
            _advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wanted, _REVISION, ctypes.byref(descriptor), None
            )
        )
        try:
            _check(
                _advapi.GetSecurityDescriptorDacl(
                    descriptor,
                    ctypes.byref(present),
                    ctypes.byref(entries),
                    ctypes.byref(defaulted),
                )
            )
            _check_code(
                _advapi.SetNamedSecurityInfoW(
                    str(long_path(path)),
                    _FILE_OBJECT,
                    _DACL | _PROTECTED,
                    None,
                    None,
                    entries,
                    None,
                )
            )
        finally:
            _kernel.LocalFree(descriptor)

    def _taken(text: ctypes.c_void_p) -> str:
        """The string that the system made, which is then freed."""
        try:
            return ctypes.wstring_at(text.value or 0)
        finally:
            _kernel.LocalFree(text)

    def _check(succeeded: int) -> None:
        if not succeeded:
            raise ctypes.WinError(ctypes.get_last_error())

    def _check_code(code: int) -> None:
        if code:
            raise ctypes.WinError(code)
