"""Generates clients in several languages with openapi-generator, and builds, loads and runs those of Go, Java, PHP and Ruby."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
GENERATED = Path(".local/conformance/generators").resolve()
SERVICES = ["customers", "orders", "orchestrator"]
# Also contains Jackson, which the Java clients use.
JAR = str(Path(find_spec("openapi_generator_cli").origin).with_name("openapi-generator.jar"))
# No current compilers of these languages are packaged by Debian, npm or PyPI: their clients are only generated.
GENERATED_ONLY = ["csharp", "dart", "kotlin"]


def must(*command, **environment):
    """Runs a program, and exits if it fails."""
    if subprocess.run(command, env=os.environ | environment).returncode != 0:
        sys.exit(f"{command[0]} failed")


def properties(service):
    """The options of each language that keep the clients of the services apart."""
    package = service.capitalize()
    java = {"invokerPackage": service, "apiPackage": f"{service}.api", "modelPackage": f"{service}.model"}
    return {
        **{language: {} for language in GENERATED_ONLY},
        # Without the last option, Go rejects responses with fields that a later compatible release added.
        "go": {"packageName": service, "withGoMod": False, "disallowAdditionalPropertiesIfNotPresent": False},
        "java": java | {"library": "native", "openApiNullable": False},
        "php": {"invokerPackage": package},
        "ruby": {"gemName": service, "moduleName": package},
    }


def folder(language, service):
    # Go finds packages in the folder src of its path.
    return GENERATED / language / ("src" if language == "go" else "") / service


def generate():
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir(parents=True)
    files = []
    for service in SERVICES:
        for language, options in properties(service).items():
            config = {
                "generatorName": language,
                "inputSpec": f"specs/{service}.json",
                "outputDir": str(folder(language, service)),
                "additionalProperties": options,
                "globalProperties": {name: "false" for name in ("apiDocs", "apiTests", "modelDocs", "modelTests")},
            }
            files.append(GENERATED / f"{language}-{service}.json")
            files[-1].write_text(json.dumps(config))
    must("openapi-generator-cli", "batch", "--fail-fast", *map(str, files))


def key():
    return str(uuid.uuid4())


def go():
    must("go", "run", str(HERE / "client.go"), key(), GOPATH=str(GENERATED / "go"), GO111MODULE="off")


def java():
    classes = GENERATED / "classes"
    sources = [*HERE.glob("*.java"), *GENERATED.glob("java/*/src/main/**/*.java")]
    # Without the annotation processors of the generator.
    must("javac", "-nowarn", "-proc:none", "-classpath", JAR, "-d", str(classes), *map(str, sources))
    must("java", "-classpath", f"{classes}:{JAR}", "Client", key())


def php():
    must("php", str(HERE / "client.php"), str(GENERATED / "php"), key())


def ruby():
    must("ruby", *(f"-I{folder('ruby', service)}/lib" for service in SERVICES), str(HERE / "client.rb"), key())


generate()
for call in (go, java, php, ruby):
    call()
languages = len(properties("any"))
print(f"{len(SERVICES)} documents in {languages} languages; the clients in Go, Java, PHP and Ruby confirm orders")
