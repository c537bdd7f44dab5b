"""The data plane: one request, from credential to receipt: authenticate, admit, dispatch, relay, settle."""
