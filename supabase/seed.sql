-- The site of a house that tunes and restores pianos: an FAQ in French and English, a few documents, three people.
-- Development only: every password is "accord-dev".

insert into auth.users (
    instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
    raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
    confirmation_token, recovery_token, email_change_token_new, email_change
)
select
    '00000000-0000-0000-0000-000000000000', person.id::uuid, 'authenticated', 'authenticated', person.email,
    extensions.crypt('accord-dev', extensions.gen_salt('bf')), now(),
    jsonb_build_object('provider', 'email', 'providers', array['email']) || person.app_metadata::jsonb,
    jsonb_build_object('name', person.name), now(), now(), '', '', '', ''
from (values
    ('0a000000-0000-4000-8000-000000000001', 'admin@accord.test', 'Inès Fabre', '{"role": "admin"}'),
    ('0a000000-0000-4000-8000-000000000002', 'claire@accord.test', 'Claire Vasseur', '{"client_id": "conservatoire-lyon"}'),
    ('0a000000-0000-4000-8000-000000000003', 'marc@accord.test', 'Marc Oyono', '{"client_id": "hotel-bellevue"}')
) as person (id, email, name, app_metadata)
on conflict (id) do nothing;

insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
select
    gen_random_uuid(), u.id::text, u.id,
    jsonb_build_object('sub', u.id, 'email', u.email, 'email_verified', true), 'email', now(), now(), now()
from auth.users as u
where u.email in ('admin@accord.test', 'claire@accord.test', 'marc@accord.test')
on conflict (provider_id, provider) do nothing;

insert into public.faq_items (locale, category, question, answer, is_published) values
('fr', 'Accordage', 'À quelle fréquence faut-il faire accorder un piano ?', 'Deux fois par an pour un piano joué régulièrement, idéalement au début et à la fin de la saison de chauffage. Un piano neuf demande trois à quatre accords la première année, le temps que les cordes se stabilisent.', true),
('fr', 'Accordage', 'Combien de temps dure un accord ?', 'Comptez une heure et demie. Si le piano n''a pas été accordé depuis plus de deux ans, prévoyez une demi-journée : il faut d''abord remonter la tension, puis laisser reposer avant l''accord fin.', true),
('fr', 'Tarifs', 'Combien coûte un accord à domicile ?', 'Un accord simple coûte 110 € dans un rayon de 30 km, déplacement compris. Au-delà, le déplacement est facturé 0,60 € par kilomètre. Les écoles de musique bénéficient d''un forfait annuel.', true),
('fr', 'Tarifs', 'Quels moyens de paiement acceptez-vous ?', 'Carte bancaire, virement et chèque. Pour les travaux de plus de 1 000 €, nous proposons un paiement en trois fois sans frais.', true),
('fr', 'Rendez-vous', 'Comment déplacer ou annuler un rendez-vous ?', 'Depuis votre espace client, jusqu''à 24 heures avant l''intervention, sans frais. Passé ce délai, appelez-nous : un déplacement annulé le jour même est facturé 40 €.', true),
('fr', 'Rendez-vous', 'Intervenez-vous le samedi ?', 'Oui, le samedi matin de 9 h à 13 h, sur rendez-vous et au même tarif. Nous n''intervenons ni le dimanche ni les jours fériés.', true),
('fr', 'Entretien', 'Quelle humidité convient à un piano ?', 'Entre 45 et 60 % d''humidité relative, sans variations brusques. En dessous de 35 %, la table d''harmonie risque de se fendre ; un humidificateur réglé à 50 % suffit dans la plupart des pièces.', true),
('fr', 'Entretien', 'Comment nettoyer les touches ?', 'Avec un chiffon doux à peine humide, puis un chiffon sec. N''utilisez ni alcool ni produit à vitres : ils ternissent l''ivoire et décollent les placages.', true),
('fr', 'Restauration', 'Une touche reste enfoncée : que faire ?', 'C''est souvent une mortaise gonflée par l''humidité ou un objet tombé entre deux touches. Ne forcez pas : nous réglons ce défaut en vingt minutes lors d''une visite.', true),
('fr', 'Restauration', 'Reprenez-vous les pianos anciens ?', 'Nous étudions chaque piano sur place. Les instruments à cadre bois d''avant 1900 sont rarement repris, mais nous pouvons vous orienter vers un musée ou un atelier spécialisé.', true),
('fr', 'Transport', 'Organisez-vous le déménagement d''un piano ?', 'Oui, avec deux transporteurs partenaires assurés jusqu''à 50 000 €. Attendez deux à trois semaines après le transport avant de faire accorder l''instrument.', true),
('fr', 'Location', 'Peut-on louer un piano pour un concert ?', 'Trois quarts de queue et deux droits sont disponibles à la location, livrés et accordés le jour même. Réservez au moins dix jours à l''avance.', true),
('en', 'Tuning', 'How often should a piano be tuned?', 'Twice a year for a piano that is played regularly, ideally when the heating season begins and when it ends. A new piano needs three or four tunings in its first year while its strings settle.', true),
('en', 'Tuning', 'Do you tune to 442 Hz?', 'Yes. We tune to 440 Hz unless you ask otherwise; conservatories and orchestras here usually want 442 Hz. Changing the pitch by more than 3 Hz takes two visits.', true),
('en', 'Prices', 'How much does a tuning at home cost?', 'A standard tuning is €110 within 30 km, travel included. Further away, travel is charged at €0.60 per kilometre. Music schools have a yearly plan.', true),
('en', 'Appointments', 'Can I change or cancel an appointment?', 'Yes, from your client account and free of charge until 24 hours before the visit. After that, please call us: a visit cancelled on the day costs €40.', true),
('en', 'Care', 'Where should I place my piano?', 'Against an inside wall, away from radiators, fireplaces and direct sunlight, and not above underfloor heating without an insulating mat.', true),
('en', 'Care', 'Can you get rid of moths in the felt?', 'Yes. We vacuum the action, treat the felts without solvents and replace those that are eaten through. Treating early saves the dampers.', true),
('en', 'Restoration', 'How long does it take to restring a grand?', 'Six to eight weeks in the workshop, pinblock inspection included. You get photographs at each stage and may visit by appointment.', true),
('fr', 'Location', 'Proposez-vous une option d''achat en fin de location ?', 'Offre en préparation : les six premiers mois de loyer seraient déduits du prix d''achat.', false);

insert into public.documents (locale, title, content, client_id, owner_id) values
('fr', 'Guide d''entretien saisonnier', E'# Guide d''entretien saisonnier\n\n## Automne\n\nAvant le chauffage, contrôlez l''hygrométrie et remplissez l''humidificateur.\n\n## Printemps\n\nFaites accorder l''instrument deux semaines après l''arrêt du chauffage.', null, null),
('en', 'Warranty terms', E'# Warranty terms\n\nWork on the action is covered for two years, new strings for one year against breakage.', null, null),
('fr', 'Contrat du Conservatoire de Lyon', E'# Contrat annuel\n\nQuarante-deux instruments, trois visites par an, intervention sous 48 heures.', 'conservatoire-lyon', null),
('fr', 'Relevé de l''Hôtel Bellevue', E'# Relevé\n\nPiano-bar accordé le premier lundi du mois, pédale forte à surveiller.', 'hotel-bellevue', null),
('fr', 'Notes personnelles de Claire', 'Demander un devis pour le clavecin avant les examens de juin.', null, '0a000000-0000-4000-8000-000000000002');

-- On a development machine an edit is followed at once; the default, every five minutes, is for production.
select public.set_setting('embedding_wake', '"immediate"'), public.set_setting('files_wake', '"immediate"');
