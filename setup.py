"Every setting is in settings.ini; edit there, not here."
import shlex
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

spdx = {'apache2': 'Apache-2.0', 'mit': 'MIT', 'bsd3': 'BSD-3-Clause'}
statuses = ['', '1 - Planning', '2 - Pre-Alpha', '3 - Alpha', '4 - Beta', '5 - Production/Stable', '6 - Mature', '7 - Inactive']
pys = [f'3.{i}' for i in range(int(cfg['min_python'].split('.')[1]), 15)]

extras = {key.removesuffix('_requirements'): shlex.split(cfg[key]) for key in cfg if key.endswith('_requirements')}

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'],
    keywords=cfg['keywords'].split(), license=spdx.get(cfg['license'], cfg['license']),
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    packages=find_packages(include=[cfg['lib_path'], cfg['lib_path']+'.*']), include_package_data=True, zip_safe=False,
    package_data={cfg['lib_path']: cfg.get('package_data', '').split()},
    python_requires='>='+cfg['min_python'], install_requires=shlex.split(cfg.get('requirements', '')),
    extras_require=extras,
    entry_points={'console_scripts': cfg['console_scripts'].split('\n'),
                  'nbdev': [f"{cfg['lib_path']} = {cfg['lib_path']}._modidx:d"]},
    project_urls={'Documentation': cfg['doc_host']+cfg['doc_baseurl'], 'Source': cfg['git_url']},
    classifiers=['Development Status :: '+statuses[int(cfg['status'])], 'Intended Audience :: '+cfg['audience'],
                 'Natural Language :: '+cfg['language'], 'Typing :: Typed',
                 'Programming Language :: Python :: 3 :: Only', *['Programming Language :: Python :: '+p for p in pys]])
