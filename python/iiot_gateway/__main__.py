"""`python -m iiot_gateway`."""

import sys

from iiot_gateway.cli.main import main

sys.exit(main())
