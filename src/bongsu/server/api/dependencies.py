"""What handlers are given."""

from typing import Annotated

from fastapi import Depends

from bongsu.server.auth.access import services_of
from bongsu.server.services import Services

ServicesDep = Annotated[Services, Depends(services_of)]
