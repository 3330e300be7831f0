"""Operations with share links, and with the time until which a job is kept."""

from __future__ import annotations

from kiosk.web.bodies import UntilBody
from kiosk.web.message_schemas import REF
from kiosk.web.operation import (
    DONE,
    ID,
    JOB_AT,
    JSON,
    Answer,
    Operation,
    Parameter,
    json_answer,
    list_of,
)

SHARES_AT = JOB_AT + "/shares"
_SHARE = Parameter(name="share", place="path", is_required=True, description="Of the link.")

SHARE_OPERATIONS = (
    Operation(
        method="post",
        path=JOB_AT + "/extend",
        id="extendJob",
        summary="Keep a job, its results and its image until then.",
        parameters=(ID,),
        body=UntilBody,
        answers={
            200: Answer(description="The job.", media_type=JSON, schema={"$ref": REF + "Job"})
        },
    ),
    Operation(
        method="post",
        path=SHARES_AT,
        id="createShare",
        summary="Make a link that shows the job to whoever has it, until then.",
        parameters=(ID,),
        body=UntilBody,
        answers={
            201: Answer(
                description="The link, with its address, which is told this once.",
                media_type=JSON,
                schema={"$ref": REF + "Share"},
                headers=("Location",),
            )
        },
    ),
    Operation(
        method="get",
        path=SHARES_AT,
        id="listShares",
        summary="The links to the job that have not ended.",
        parameters=(ID,),
        answers={200: json_answer("The links.", shares=list_of("Share"))},
    ),
    Operation(
        method="delete",
        path=SHARES_AT + "/{share}",
        id="deleteShare",
        summary="Withdraw a link.",
        parameters=(ID, _SHARE),
        answers={204: DONE},
    ),
)
