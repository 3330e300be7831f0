import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_INTERACTIVE: _ClassVar[Priority]
    PRIORITY_BATCH: _ClassVar[Priority]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
PRIORITY_UNSPECIFIED: Priority
PRIORITY_INTERACTIVE: Priority
PRIORITY_BATCH: Priority

class Model(_message.Message):
    __slots__ = ("name", "display_name", "description", "versions", "pipeline", "channels", "accepts_rgb", "min_object_diameter_px", "max_object_diameter_px", "default_parameters", "licence", "head", "parameters", "default_version", "canary_version", "canary_ratio")
    class DefaultParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_RGB_FIELD_NUMBER: _ClassVar[int]
    MIN_OBJECT_DIAMETER_PX_FIELD_NUMBER: _ClassVar[int]
    MAX_OBJECT_DIAMETER_PX_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANARY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANARY_RATIO_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    description: str
    versions: _containers.RepeatedScalarFieldContainer[str]
    pipeline: str
    channels: _containers.RepeatedScalarFieldContainer[str]
    accepts_rgb: bool
    min_object_diameter_px: float
    max_object_diameter_px: float
    default_parameters: _containers.ScalarMap[str, float]
    licence: str
    head: str
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    default_version: str
    canary_version: str
    canary_ratio: float
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., versions: _Optional[_Iterable[str]] = ..., pipeline: _Optional[str] = ..., channels: _Optional[_Iterable[str]] = ..., accepts_rgb: _Optional[bool] = ..., min_object_diameter_px: _Optional[float] = ..., max_object_diameter_px: _Optional[float] = ..., default_parameters: _Optional[_Mapping[str, float]] = ..., licence: _Optional[str] = ..., head: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., default_version: _Optional[str] = ..., canary_version: _Optional[str] = ..., canary_ratio: _Optional[float] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "kind", "default_value", "minimum", "maximum", "unit", "meaning")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    default_value: float
    minimum: float
    maximum: float
    unit: str
    meaning: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., default_value: _Optional[float] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., unit: _Optional[str] = ..., meaning: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Upload(_message.Message):
    __slots__ = ("name", "file_name", "size_bytes", "offset_bytes", "sha256", "complete", "expire_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_name: str
    size_bytes: int
    offset_bytes: int
    sha256: str
    complete: bool
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., file_name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., offset_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., complete: _Optional[bool] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateUploadRequest(_message.Message):
    __slots__ = ("file_name", "size_bytes", "sha256", "url")
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    file_name: str
    size_bytes: int
    sha256: str
    url: str
    def __init__(self, file_name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class GetUploadRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ReadOptions(_message.Message):
    __slots__ = ("member", "series", "axes", "pixel_size_um", "z_step_um")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    PIXEL_SIZE_UM_FIELD_NUMBER: _ClassVar[int]
    Z_STEP_UM_FIELD_NUMBER: _ClassVar[int]
    member: str
    series: int
    axes: str
    pixel_size_um: float
    z_step_um: float
    def __init__(self, member: _Optional[str] = ..., series: _Optional[int] = ..., axes: _Optional[str] = ..., pixel_size_um: _Optional[float] = ..., z_step_um: _Optional[float] = ...) -> None: ...

class InspectUploadRequest(_message.Message):
    __slots__ = ("name", "reading", "thumbnail_px", "list_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_PX_FIELD_NUMBER: _ClassVar[int]
    LIST_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    reading: ReadOptions
    thumbnail_px: int
    list_only: bool
    def __init__(self, name: _Optional[str] = ..., reading: _Optional[_Union[ReadOptions, _Mapping]] = ..., thumbnail_px: _Optional[int] = ..., list_only: _Optional[bool] = ...) -> None: ...

class InspectUploadResponse(_message.Message):
    __slots__ = ("images",)
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[Image]
    def __init__(self, images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("reading", "title", "format", "size_t", "size_c", "size_z", "size_y", "size_x", "axes", "dtype", "is_rgb", "channel_names", "pixel_size_y_um", "pixel_size_x_um", "z_step_um", "frame_interval_s", "resolutions", "notes", "thumbnail", "error")
    READING_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_T_FIELD_NUMBER: _ClassVar[int]
    SIZE_C_FIELD_NUMBER: _ClassVar[int]
    SIZE_Z_FIELD_NUMBER: _ClassVar[int]
    SIZE_Y_FIELD_NUMBER: _ClassVar[int]
    SIZE_X_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    IS_RGB_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_NAMES_FIELD_NUMBER: _ClassVar[int]
    PIXEL_SIZE_Y_UM_FIELD_NUMBER: _ClassVar[int]
    PIXEL_SIZE_X_UM_FIELD_NUMBER: _ClassVar[int]
    Z_STEP_UM_FIELD_NUMBER: _ClassVar[int]
    FRAME_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    RESOLUTIONS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    reading: ReadOptions
    title: str
    format: str
    size_t: int
    size_c: int
    size_z: int
    size_y: int
    size_x: int
    axes: str
    dtype: str
    is_rgb: bool
    channel_names: _containers.RepeatedScalarFieldContainer[str]
    pixel_size_y_um: float
    pixel_size_x_um: float
    z_step_um: float
    frame_interval_s: float
    resolutions: _containers.RepeatedScalarFieldContainer[str]
    notes: _containers.RepeatedScalarFieldContainer[str]
    thumbnail: bytes
    error: JobError
    def __init__(self, reading: _Optional[_Union[ReadOptions, _Mapping]] = ..., title: _Optional[str] = ..., format: _Optional[str] = ..., size_t: _Optional[int] = ..., size_c: _Optional[int] = ..., size_z: _Optional[int] = ..., size_y: _Optional[int] = ..., size_x: _Optional[int] = ..., axes: _Optional[str] = ..., dtype: _Optional[str] = ..., is_rgb: _Optional[bool] = ..., channel_names: _Optional[_Iterable[str]] = ..., pixel_size_y_um: _Optional[float] = ..., pixel_size_x_um: _Optional[float] = ..., z_step_um: _Optional[float] = ..., frame_interval_s: _Optional[float] = ..., resolutions: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ..., thumbnail: _Optional[bytes] = ..., error: _Optional[_Union[JobError, _Mapping]] = ...) -> None: ...

class DeleteUploadRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteUploadResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WriteUploadRequest(_message.Message):
    __slots__ = ("name", "offset_bytes", "data", "finish")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset_bytes: int
    data: bytes
    finish: bool
    def __init__(self, name: _Optional[str] = ..., offset_bytes: _Optional[int] = ..., data: _Optional[bytes] = ..., finish: _Optional[bool] = ...) -> None: ...

class JobError(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("name", "pipeline", "upload", "file_name", "model", "model_version", "state", "stage", "parts_done", "parts_total", "error", "notes", "create_time", "start_time", "end_time", "expire_time", "parameters", "owner", "priority", "waiting_for")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PARTS_DONE_FIELD_NUMBER: _ClassVar[int]
    PARTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    pipeline: str
    upload: str
    file_name: str
    model: str
    model_version: str
    state: JobState
    stage: str
    parts_done: int
    parts_total: int
    error: JobError
    notes: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    parameters: _struct_pb2.Struct
    owner: str
    priority: Priority
    waiting_for: str
    def __init__(self, name: _Optional[str] = ..., pipeline: _Optional[str] = ..., upload: _Optional[str] = ..., file_name: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., stage: _Optional[str] = ..., parts_done: _Optional[int] = ..., parts_total: _Optional[int] = ..., error: _Optional[_Union[JobError, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., owner: _Optional[str] = ..., priority: _Optional[_Union[Priority, str]] = ..., waiting_for: _Optional[str] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("job", "file_name", "owner", "kind", "part_index", "attempts", "reason", "time")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PART_INDEX_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    job: str
    file_name: str
    owner: str
    kind: str
    part_index: int
    attempts: int
    reason: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, job: _Optional[str] = ..., file_name: _Optional[str] = ..., owner: _Optional[str] = ..., kind: _Optional[str] = ..., part_index: _Optional[int] = ..., attempts: _Optional[int] = ..., reason: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("page_size", "all_owners")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ALL_OWNERS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    all_owners: bool
    def __init__(self, page_size: _Optional[int] = ..., all_owners: _Optional[bool] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("dead_letters",)
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ...) -> None: ...

class RedriveJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SegmentRequest(_message.Message):
    __slots__ = ("upload", "model", "model_version", "channel", "parameters", "request_id", "reading", "region", "volume", "formats", "within", "plane", "preview", "priority")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    FORMATS_FIELD_NUMBER: _ClassVar[int]
    WITHIN_FIELD_NUMBER: _ClassVar[int]
    PLANE_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    upload: str
    model: str
    model_version: str
    channel: str
    parameters: _containers.ScalarMap[str, float]
    request_id: str
    reading: ReadOptions
    region: Region
    volume: bool
    formats: _containers.RepeatedScalarFieldContainer[str]
    within: str
    plane: Plane
    preview: bool
    priority: Priority
    def __init__(self, upload: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., channel: _Optional[str] = ..., parameters: _Optional[_Mapping[str, float]] = ..., request_id: _Optional[str] = ..., reading: _Optional[_Union[ReadOptions, _Mapping]] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., volume: _Optional[bool] = ..., formats: _Optional[_Iterable[str]] = ..., within: _Optional[str] = ..., plane: _Optional[_Union[Plane, _Mapping]] = ..., preview: _Optional[bool] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("min_y_px", "min_x_px", "max_y_px", "max_x_px")
    MIN_Y_PX_FIELD_NUMBER: _ClassVar[int]
    MIN_X_PX_FIELD_NUMBER: _ClassVar[int]
    MAX_Y_PX_FIELD_NUMBER: _ClassVar[int]
    MAX_X_PX_FIELD_NUMBER: _ClassVar[int]
    min_y_px: int
    min_x_px: int
    max_y_px: int
    max_x_px: int
    def __init__(self, min_y_px: _Optional[int] = ..., min_x_px: _Optional[int] = ..., max_y_px: _Optional[int] = ..., max_x_px: _Optional[int] = ...) -> None: ...

class Plane(_message.Message):
    __slots__ = ("t", "z")
    T_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    t: int
    z: int
    def __init__(self, t: _Optional[int] = ..., z: _Optional[int] = ...) -> None: ...

class TrackRequest(_message.Message):
    __slots__ = ("upload", "model", "model_version", "channel", "request_id", "parameters", "reading", "formats", "labels", "tracks", "labels_are_tracks", "skip_bad_frames", "linker", "longest_gap_frames", "reach_px", "no_divisions", "no_drift_correction", "no_mending", "priority")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    FORMATS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    LABELS_ARE_TRACKS_FIELD_NUMBER: _ClassVar[int]
    SKIP_BAD_FRAMES_FIELD_NUMBER: _ClassVar[int]
    LINKER_FIELD_NUMBER: _ClassVar[int]
    LONGEST_GAP_FRAMES_FIELD_NUMBER: _ClassVar[int]
    REACH_PX_FIELD_NUMBER: _ClassVar[int]
    NO_DIVISIONS_FIELD_NUMBER: _ClassVar[int]
    NO_DRIFT_CORRECTION_FIELD_NUMBER: _ClassVar[int]
    NO_MENDING_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    upload: str
    model: str
    model_version: str
    channel: str
    request_id: str
    parameters: _containers.ScalarMap[str, float]
    reading: ReadOptions
    formats: _containers.RepeatedScalarFieldContainer[str]
    labels: str
    tracks: str
    labels_are_tracks: bool
    skip_bad_frames: bool
    linker: str
    longest_gap_frames: int
    reach_px: float
    no_divisions: bool
    no_drift_correction: bool
    no_mending: bool
    priority: Priority
    def __init__(self, upload: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., channel: _Optional[str] = ..., request_id: _Optional[str] = ..., parameters: _Optional[_Mapping[str, float]] = ..., reading: _Optional[_Union[ReadOptions, _Mapping]] = ..., formats: _Optional[_Iterable[str]] = ..., labels: _Optional[str] = ..., tracks: _Optional[str] = ..., labels_are_tracks: _Optional[bool] = ..., skip_bad_frames: _Optional[bool] = ..., linker: _Optional[str] = ..., longest_gap_frames: _Optional[int] = ..., reach_px: _Optional[float] = ..., no_divisions: _Optional[bool] = ..., no_drift_correction: _Optional[bool] = ..., no_mending: _Optional[bool] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "all_owners", "search", "state", "previews")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ALL_OWNERS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    all_owners: bool
    search: str
    state: JobState
    previews: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., all_owners: _Optional[bool] = ..., search: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., previews: _Optional[bool] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("name", "after_event_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_event_id: str
    def __init__(self, name: _Optional[str] = ..., after_event_id: _Optional[str] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("id", "job")
    ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    id: str
    job: Job
    def __init__(self, id: _Optional[str] = ..., job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ExtendJobRequest(_message.Message):
    __slots__ = ("name", "expire_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Share(_message.Message):
    __slots__ = ("name", "token", "url", "creator", "create_time", "expire_time", "zarr_url")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ZARR_URL_FIELD_NUMBER: _ClassVar[int]
    name: str
    token: str
    url: str
    creator: str
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    zarr_url: str
    def __init__(self, name: _Optional[str] = ..., token: _Optional[str] = ..., url: _Optional[str] = ..., creator: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., zarr_url: _Optional[str] = ...) -> None: ...

class CreateShareRequest(_message.Message):
    __slots__ = ("job", "expire_time")
    JOB_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    job: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, job: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListSharesRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: str
    def __init__(self, job: _Optional[str] = ...) -> None: ...

class ListSharesResponse(_message.Message):
    __slots__ = ("shares",)
    SHARES_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[Share]
    def __init__(self, shares: _Optional[_Iterable[_Union[Share, _Mapping]]] = ...) -> None: ...

class DeleteShareRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteShareResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Result(_message.Message):
    __slots__ = ("name", "file_name", "size_bytes", "media_type", "description", "opens_with")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OPENS_WITH_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_name: str
    size_bytes: int
    media_type: str
    description: str
    opens_with: str
    def __init__(self, name: _Optional[str] = ..., file_name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., media_type: _Optional[str] = ..., description: _Optional[str] = ..., opens_with: _Optional[str] = ...) -> None: ...

class ListResultsRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: str
    def __init__(self, job: _Optional[str] = ...) -> None: ...

class ListResultsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class DownloadResultRequest(_message.Message):
    __slots__ = ("name", "offset_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset_bytes: int
    def __init__(self, name: _Optional[str] = ..., offset_bytes: _Optional[int] = ...) -> None: ...

class DownloadResultResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
