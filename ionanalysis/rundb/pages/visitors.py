"""Who may see a page that scripts ask for, too: by session, by key or password, or by the token of a frame."""

from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse

from ionanalysis.rundb.protocol import Refusal
from ionanalysis.rundb.protocol.access import caller


def for_known(view):
    """Let a view answer those whom the API would; a browser is led to the log-in page."""

    @wraps(view)
    def answer(request, *args, **kwargs):
        try:
            caller(request)
        except Refusal as problem:
            if problem.status == 401 and "text/html" in request.headers.get("Accept", ""):
                return redirect_to_login(request.get_full_path())
            body = (problem.body or {}).get("error", "")
            return HttpResponse(body, status=problem.status, content_type="text/plain", headers=problem.headers)
        return view(request, *args, **kwargs)

    return answer
